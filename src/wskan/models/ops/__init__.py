"""Operations of WS-KAN: in PyTorch, and in C++ on CPUs."""

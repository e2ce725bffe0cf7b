"""Settings for every test: reproducible hypothesis runs without deadlines, few threads."""

import hypothesis
import torch

hypothesis.settings.register_profile("wskan", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("wskan")
torch.set_num_threads(1)

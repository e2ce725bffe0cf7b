"""Bases of a KAN's edge functions: B-splines, and those of FastKAN, ChebyKAN, FourierKAN and Wav-KAN."""

from wskan.kan.bases.base import Basis
from wskan.kan.bases.bspline import KERNEL_DEGREES, BSplines
from wskan.kan.bases.chebyshev import Chebyshev
from wskan.kan.bases.fourier import Fourier
from wskan.kan.bases.radial import RadialBasis
from wskan.kan.bases.wavelet import Wavelets

BASES: dict[str, type[Basis]] = {
    basis.name: basis for basis in (BSplines, RadialBasis, Chebyshev, Fourier, Wavelets)
}  # in the order of csrc/kernel.cpp

__all__ = ["BASES", "KERNEL_DEGREES", "BSplines", "Basis", "Chebyshev", "Fourier", "RadialBasis", "Wavelets"]

import pytest

from wskan.errors import DataError
from wskan.kan import KANSpec


def test_counts_and_json_round_trip() -> None:
    spec = KANSpec(widths=(2, 32, 32, 1), grid=10)
    assert (spec.num_layers, spec.num_basis, spec.num_knots, spec.num_edges) == (3, 13, 17, 1120)
    assert spec.num_parameters == 1120 * 15
    assert KANSpec.from_dict(spec.to_dict()) == spec
    assert KANSpec.from_dict(spec.to_dict()).digest == spec.digest != KANSpec(widths=(2, 32, 32, 1), grid=11).digest


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"widths": [2]},
        {"widths": [2, 0, 1]},
        {"widths": [2, 1.5]},
        {"widths": "21"},
        {"widths": [2, 1], "grid": 0},
        {"widths": [2, 1], "grid": True},
        {"widths": [2, 1], "degree": 99},
        {"widths": [2, 1], "domain": [1, -1]},
        {"widths": [2, 1], "domain": [float("nan"), 1]},
        {"widths": [2, 1], "base": "os.system"},
        {"widths": [2, 1], "unknown": 1},
        {"widths": [65_536, 65_536]},
        None,
    ],
)
def test_bad_specifications_are_refused(data: object) -> None:
    with pytest.raises(DataError):
        KANSpec.from_dict(data)  # type: ignore[arg-type]

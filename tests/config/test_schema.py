"""The schema of a config: what its fields mean, and what they may be."""

import pytest

import hop
from hop import config as config_lib


@pytest.mark.devices
def test_without_input_functions_all_devices_split_the_points():
    for function, point, points in ((-1, 1, 8), (1, -1, 8), (4, 2, 8), (2, -1, 8)):
        layout = config_lib.MeshConfig(function, point).layout(functions=False)
        assert dict(layout.mesh.shape) == {"function": 1, "point": points, "model": 1}


def test_checkpoints_name_no_module_outside_the_package(data_dir, tiny):
    values = config_lib.to_json(tiny())
    values["problem"]["name"] = "os"
    with pytest.raises(hop.UserError, match="problem.name='os' is not known"):
        config_lib.build(config_lib.parse(values))

"""The properties of this machine that decide how sums round."""

from typing import Any

import torch

from growsearch.machine.processes import ranks
from growsearch.machine.processor import bfloat16_instructions
from growsearch.trial.config import TrialConfig


def arithmetic(config: TrialConfig, device: torch.device) -> dict[str, Any]:
    """The properties that decide the last bits of sums and products, as values of JSON types.

    The compiler decides them too, but is not included. `config.precision` must not be "auto".
    """
    assert config.precision != "auto"
    made: dict[str, Any] = {"torch": torch.__version__, "precision": config.precision}
    if (count := ranks().count) > 1:
        made["ranks"] = count
    if device.type == "cuda":
        versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
        return made | versions | {"device": torch.cuda.get_device_name(device)}
    if config.precision == "bfloat16":
        made["instructions"] = bfloat16_instructions()
    capability = torch.backends.cpu.get_cpu_capability()
    return made | {"device": f"cpu {capability}", "threads": torch.get_num_threads()}

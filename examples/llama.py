"""A Hugging Face Llama with random weights that grows, on the bytes of any text file.

growsearch train --plugin examples/llama.py --task llama --data-dir text.txt --architecture 1 \
    --growth-epochs 3 6 --epochs 9
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from growsearch import Task, generator, option, register


@register("task", "llama")
@dataclass(frozen=True, kw_only=True)
class Llama(Task):
    """Predict the next byte of a text."""

    stacks = ("model.layers",)
    proposals = {"policy": "fixed", "initializer": "copy", "lr": 1e-3, "batch_size": 8}
    hidden: int = option(64, "hidden size", least=8)

    def build(self, architecture):
        depth = architecture.blocks[0]  # layer indices are those of the new depth
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=256, hidden_size=self.hidden, intermediate_size=2 * self.hidden,
            num_hidden_layers=depth, num_attention_heads=4, use_cache=False,
        ))  # fmt: skip

    def load(self, data_dir):
        text = torch.frombuffer(bytearray(Path(data_dir).read_bytes()), dtype=torch.uint8)
        return dict(zip(("train", "val"), text.split(int(0.9 * len(text))), strict=False))

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, "text") if split == "train" else generator(0, 0, split)
        for _ in range(50 if split == "train" else 10):
            starts = torch.randint(len(self.loaded[split]) - 64, (8, 1), generator=draw)
            yield {"input_ids": self.loaded[split][starts + torch.arange(64)].long()}

    def loss(self, model, batch):
        return model(**batch, labels=batch["input_ids"]).loss

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=self.trial.lr)

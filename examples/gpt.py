"""A small GPT in plain PyTorch that grows, on the bytes of any text file.

growsearch check-task examples/gpt.py:GPTTask --data-dir text.txt
growsearch train --plugin examples/gpt.py --task gpt --data-dir text.txt --architecture 1 \
    --growth-epochs 8 --growth-architectures 4 --epochs 10
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from growsearch import Task, generator, option, register


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.ln1, self.ln2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.ln1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(attended.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.ln2(x))))

    def silence_residual(self) -> None:  # for --initializer zero
        for layer in (self.proj, self.down):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


class GPT(nn.Module):
    def __init__(self, depth: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(256, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
        self.head.weight = self.tokens.weight  # tied
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.head(self.ln(x))


@register("task", "gpt")
@dataclass(frozen=True, kw_only=True)
class GPTTask(Task):
    """Predict the next byte of a text."""

    stacks = ("h",)
    residual = True
    proposals = {"policy": "fixed", "initializer": "copy", "lr": 1e-3, "weight_decay": 0.1,
                 "momentum_on_growth": "carry", "batch_size": 12}  # fmt: skip
    width: int = option(64, "numbers a token", least=8)
    heads: int = option(4, "attention heads", least=1)
    context: int = option(64, "bytes that are seen", least=2)
    steps_an_epoch: int = option(100, "training steps of an epoch", least=1)

    def build(self, architecture):
        return GPT(architecture.blocks[0], self.width, self.heads, self.context)

    def load(self, data_dir):
        text = torch.frombuffer(bytearray(Path(data_dir).read_bytes()), dtype=torch.uint8)
        return dict(zip(("train", "val"), text.split(int(0.9 * len(text))), strict=False))

    def batches(self, split, seed, epoch):
        text, size = self.loaded[split], self.trial.batch_size
        draw = generator(seed, epoch, "text") if split == "train" else generator(0, 0, split)
        for _ in range(self.steps_an_epoch if split == "train" else 10):
            starts = torch.randint(len(text) - self.context, (size, 1), generator=draw)
            window = text[starts + torch.arange(self.context + 1)].long()
            yield window[:, :-1], window[:, 1:]

    def optimizer(self, model):
        matrices = [p for p in model.parameters() if p.dim() > 1]
        others = [p for p in model.parameters() if p.dim() <= 1]
        groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(
            groups, lr=self.trial.lr, weight_decay=self.trial.weight_decay, betas=(0.9, 0.95)
        )

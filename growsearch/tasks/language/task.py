"""Language: a GPT predicts the next token of a text."""

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from growsearch.tasks.transformer.task import TransformerStack
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Proposals
from growsearch.trial.options import Role, option

if TYPE_CHECKING:
    from torch import Tensor, nn

    from growsearch.growth.step_sizes import StepSize
    from growsearch.tasks.language.text import Text
    from growsearch.trial.config import TrialConfig

EVALUATION_BATCH = 64
"""Windows of an evaluation batch."""


@dataclass(frozen=True, kw_only=True)
class LanguageTask(TransformerStack):
    """The next token of a text, predicted by a stack of causal transformer blocks.

    The text is divided by position: its first nine tenths train, a twentieth validates and the last
    one is the test text, which is recorded only. A training step has `batch_size` windows of
    `context` tokens at random places. Validation and test windows are always the same, and predict
    no token twice. `evaluate` gives the loss in nats a token, and bits a byte of the text in UTF-8,
    which texts in bytes and in characters share.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    kinds: ClassVar[tuple[str, ...]] = ("dataset",)
    learns = "text"
    own_metrics: ClassVar[Mapping[str, str]] = {"bits_per_byte": "lower"}
    usual_cost, usual_metric = "flops", "val_bits_per_byte"
    proposals: ClassVar[Proposals] = {
        "dataset": "text", "epochs": 20, "batch_size": 12, "optimizer": "adamw", "beta2": 0.99,
        "lr": 1e-3, "weight_decay": 0.1, "lr_schedule": "cosine", "final_lr": 0.1,
        "initializer": "zero", "momentum_on_growth": "carry",
    }  # fmt: skip

    width: int = option(128, "embedding size", least=1, keyed_at_default=False)
    heads: int = option(4, "attention heads", least=1, keyed_at_default=False)
    context: int = option(64, "context length in tokens", least=1, keyed_at_default=False)
    positions: str = option(
        "learned", "how tokens know their places: embeddings that are learned, or rotary ones",
        choices=("learned", "rotary"), keyed_at_default=False,
    )  # fmt: skip
    mlp: str = option(
        "gelu", "the MLP of a block", choices=("gelu", "swiglu"), keyed_at_default=False
    )
    embeddings: str = option(
        "apart", "whether the last layer has the weights of the token embeddings",
        choices=("apart", "tied"), keyed_at_default=False,
    )  # fmt: skip
    tokens: str = option(
        "bytes",
        "what a token is",
        choices=("bytes", "characters"),
        keyed_at_default=False,
        measures=True,
    )
    steps_an_epoch: int = option(
        100, "training steps of an epoch", least=1, keyed_at_default=False, measures=True
    )
    eval_windows: int = option(
        128, "windows of `context` tokens that validate at most, and as many of test text",
        least=1, role=Role.EPOCH, keyed_at_default=False, measures=True,
    )  # fmt: skip

    def completed(self, trial: "TrialConfig") -> Self:
        from growsearch.tasks.transformer.heads import check_heads

        check_heads(self.width, self.heads, self.positions == "rotary")
        return self

    # data

    def read(self) -> "Text":
        from growsearch.tasks.language.source import TextSource
        from growsearch.tasks.language.text import read_text

        source = self.trial.dataset
        assert isinstance(source, TextSource)
        return read_text(source, self.trial.data_dir, self.tokens)

    def load_key(self) -> tuple[Hashable, ...]:
        source = self.trial.dataset
        options = source.values().values()
        return "text", source.name, source.plugin, self.trial.data_dir, self.tokens, *options

    def check_key(self) -> tuple[Hashable, ...]:
        return *super().check_key(), self.context

    @property
    def is_shared(self) -> bool:
        return True

    def prepare(self) -> None:
        from growsearch.machine.memory import check_fits
        from growsearch.machine.processes import ranks

        text: Text = self.loaded
        for split, part in text.parts.items():
            if len(part) <= self.context:
                most = min(map(len, text.parts.values())) - 1
                remedy = f"lower context to {most}" if most > 0 else "give a longer text"
                raise InputError(
                    f"context={self.context} needs a {split} text of at least {self.context + 1} "
                    f"{self.tokens}, and that of {self._where} has {len(part)}; {remedy}"
                )
        batch = self.trial.batch_size
        scores = batch * self.context * text.vocabulary // ranks().count
        size = 8 * batch * self.steps_an_epoch + 2 * scores
        check_fits(size, f"batch_size={batch}", "choose a smaller one")

    @property
    def _where(self) -> str:
        trial = self.trial
        return f"data_dir {trial.data_dir!r}" if trial.data_dir else repr(trial.dataset.name)

    def data_digest(self) -> str:
        return str(self.loaded.digest)

    def own_data(self) -> dict[str, Any] | None:
        return self.description() if self.trial.dataset.may_change else None

    @cached_property
    def _training_windows(self) -> "Tensor":
        """All windows of the training text, [n, context + 1], as a view of it on the device."""
        text: Tensor = self.loaded.parts["train"].to(self.device)
        return text.unfold(0, self.context + 1, 1)

    @cached_property
    def _fixed_windows(self) -> "dict[str, Tensor]":
        """The windows of validation and of test, [n, context + 1], on the device."""
        from growsearch.tasks.language.text import windows

        return {
            split: windows(self.loaded.parts[split], self.context, self.eval_windows)
            .to(self.device)
            .long()
            for split in ("val", "test")
        }

    def batches(self, split: str, seed: int, epoch: int) -> "Iterator[tuple[Tensor, Tensor]]":
        """Pairs of tokens [n, context] and the tokens that follow them."""
        if split != "train":
            for chosen in self._fixed_windows[split].split(EVALUATION_BATCH):
                yield chosen[:, :-1], chosen[:, 1:]
            return
        import torch

        from growsearch.machine.randomness import generator

        every, form = self._training_windows, (self.steps_an_epoch, self.trial.batch_size)
        places = torch.randint(len(every), form, generator=generator(seed, epoch, "windows"))
        for chosen in places.to(every.device):
            window = every[chosen].long()
            yield window[:, :-1], window[:, 1:]

    def steps(self) -> int:
        return self.steps_an_epoch

    @property
    def example_tokens(self) -> int:  # type: ignore[override]
        return self.context

    # the model

    def build(self, architecture: Architecture) -> "nn.Module":
        steps = self.step_sizes(architecture)
        return self._network(architecture, self.loaded.characters, steps)

    def _network(
        self, architecture: Architecture, characters: str | None, steps: "list[StepSize]"
    ) -> "nn.Module":
        from growsearch.tasks.language.model import GPT
        from growsearch.tasks.language.text import vocabulary

        model = GPT(
            architecture.blocks[0], self.width, self.heads, context=self.context,
            vocabulary=vocabulary(characters), rotary=self.positions == "rotary", mlp=self.mlp,
            tied=self.embeddings == "tied",
        )  # fmt: skip
        return self.stepped(model, steps)

    def facts(self) -> dict[str, Any]:
        return {"characters": self.loaded.characters}

    def rebuilt(
        self, architecture: Architecture, facts: Mapping[str, Any], steps: "list[StepSize]"
    ) -> "nn.Module":
        return self._network(architecture, facts["characters"], steps)

    def loss(self, model: "nn.Module", batch: Any) -> "Tensor":
        from torch.nn import functional as F

        tokens, following = batch
        return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

    def evaluate(self, model: "nn.Module", split: str) -> Mapping[str, float]:
        import torch

        from growsearch.machine.batches import in_sum
        from growsearch.machine.processes import ranks

        processes = ranks()
        total = torch.zeros(1, dtype=torch.float64, device=self.device)
        batches = self.batches(split, 0, 0)
        for batch in itertools.islice(batches, processes.rank, None, processes.count):
            total[0] += in_sum(self.loss(model, batch), batch[1].numel())
        (nats,) = processes.total(total).tolist()
        following = self._fixed_windows[split][:, 1:]
        bits = nats / math.log(2)
        return {
            "loss": nats / following.numel(),
            "bits_per_byte": bits / self.loaded.bytes_of(following),
        }

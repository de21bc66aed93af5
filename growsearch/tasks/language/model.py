"""A GPT (Radford et al. 2019), from tokens [n, tokens] to logits [n, tokens, vocabulary]."""

from torch import Tensor, nn

from growsearch.tasks.transformer.blocks import STD, transformer_stack


class GPT(nn.Module):
    """Embeddings, a stack of causal transformer blocks, a normalization, and logits.

    `blocks` may be empty. Embeddings and head are drawn from N(0, 0.02); `tied` makes them one
    tensor.
    """

    def __init__(
        self, depth: int, width: int, heads: int, *, context: int, vocabulary: int,
        rotary: bool = False, mlp: str = "gelu", tied: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.tokens.weight, std=STD)
        self.positions = None if rotary else nn.Embedding(context, width)
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=STD)
        self.head = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=STD)
        if tied:
            self.head.weight = self.tokens.weight
        self.ln = nn.LayerNorm(width)
        turned = context if rotary else 0
        self.blocks = transformer_stack(depth, width, heads, causal=True, mlp=mlp, rotary=turned)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.ln(x))
        return logits

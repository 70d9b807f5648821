"""What Cursor's models cost."""

from __future__ import annotations

from dataclasses import dataclass

CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Price:
    """USD for one million tokens in and out."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost in USD."""

    input: float
    output: float

    @property
    def total(self) -> float:
        """Input and output together, to a hundredth of a millionth."""
        return round(self.input + self.output, 8)


def cost(price: Price, *, input_tokens: int, output_tokens: int) -> Cost:
    """Work out what `input_tokens` and `output_tokens` cost at `price`."""
    return Cost(
        input=round(input_tokens * price.input / 1_000_000, 8),
        output=round(output_tokens * price.output / 1_000_000, 8),
    )

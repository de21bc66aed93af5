"""What a user's program takes from growsearch; `make wheel-check` runs it and checks its types."""

from growsearch import EpochRecord, Trainer, TrialConfig


def most_accurate(config: TrialConfig) -> EpochRecord:
    return max(Trainer(config), key=lambda record: record.quality)


best = most_accurate(TrialConfig(dataset="digits", train_size=100, epochs=2, policy="none"))
epoch: int = best.epoch
wrong: str = best.epoch  # type: ignore[assignment]  # an error only where the types are known
print(f"epoch {epoch} of 2 is the most accurate: {best.val_accuracy:.1f} %")

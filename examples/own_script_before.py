"""A training script of the usual kind, as it was before: see own_script.py and own_script.diff."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

BATCH, EPOCHS, LR, DEPTH, WIDTH = 64, 10, 0.05, 4, 32


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.layer(F.relu(self.norm(x)))


class Net(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.first = nn.Linear(64, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.last = nn.Linear(width, 10)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def data():
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    return images, torch.tensor(digits.target)


def batches(images, labels, epoch):
    draw = torch.Generator().manual_seed(epoch)
    for part in torch.randperm(1500, generator=draw).split(BATCH):
        yield images[part], labels[part]


def main():
    torch.manual_seed(0)
    model = Net(DEPTH, WIDTH)
    images, labels = data()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9)
    for epoch in range(EPOCHS):
        model.train()
        for x, y in batches(images, labels, epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(images[1500:]).argmax(1) == labels[1500:]
        print(f"epoch {epoch + 1}: {100 * right.float().mean():.2f} %")


if __name__ == "__main__":
    main()

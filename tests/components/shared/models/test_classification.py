import torch

from components.shared.models import Classifier, Counter, expected_count
from components.shared.models.resnet9 import ResNet9


def test_expected_count_is_the_mean_of_the_distribution() -> None:
    probabilities = torch.tensor([[0.5, 0.0, 0.5], [0.1, 0.2, 0.7]])
    torch.testing.assert_close(expected_count(probabilities), torch.tensor([1.0, 1.6]))


def test_a_counter_finds_far_counts_worse_than_near_ones() -> None:
    counter = Counter(ResNet9(0, width=8), outputs=6)
    truth = torch.nn.functional.one_hot(torch.tensor([0, 0]), 6).float()
    # Both put nine tenths on a wrong count: 1 in the first row, 5 in the second.
    near_and_far = torch.tensor([[0.1, 0.9, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0.9]])
    logits = (near_and_far + 1e-9).log()
    near, far = counter.losses(logits, truth).tolist()
    assert far - near > 5
    near, far = Classifier.losses(counter, logits, truth).tolist()
    assert abs(far - near) < 1e-4


def test_the_right_distribution_has_the_lowest_loss() -> None:
    counter = Counter(ResNet9(0, width=8), outputs=4)
    target = torch.tensor([[0.2, 0.5, 0.2, 0.1]])
    logits = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        counter.losses(logits, target).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    torch.testing.assert_close(counter.probabilities(logits.detach()), target, atol=0.01, rtol=0)

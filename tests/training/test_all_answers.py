import pytest
import torch

from training.all_answers import divergence, next_tokens, targets


def test_at_every_token_the_odds_are_those_of_the_answers_that_begin_like_this():
    answers = [([1, 2, 9], 0.5), ([1, 3, 9], 0.3), ([4, 9], 0.2)]
    assert next_tokens([1, 3, 9], answers) == [
        {1: pytest.approx(0.8), 4: pytest.approx(0.2)},
        {2: pytest.approx(0.625), 3: pytest.approx(0.375)},
        {9: 1.0},
    ]


def test_an_answer_that_ends_where_another_goes_on_is_told_from_it_by_its_end():
    assert next_tokens([1, 9], [([1, 9], 0.5), ([1, 2, 9], 0.5)])[1] == {9: 0.5, 2: 0.5}


def test_without_others_the_path_is_the_only_answer():
    assert next_tokens([5, 9], []) == [{5: 1.0}, {9: 1.0}]


def test_a_wrong_path_is_followed_to_where_it_goes_wrong():
    answers = [([1, 2, 9], 0.75), ([1, 3, 9], 0.25)]
    assert next_tokens([1, 5, 9], answers) == [{1: 1.0}, {2: 0.75, 3: 0.25}]
    assert next_tokens([7], answers) == [{1: 1.0}]


def test_on_average_over_paths_the_gradient_is_that_of_single_answers():
    answers = [([1, 2], 0.5), ([1, 3], 0.3), ([4, 0], 0.2)]
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    exact, drawn = torch.zeros(2, 5), torch.zeros(2, 5)
    for path, share in answers:
        for found, options in ((exact, answers), (drawn, [])):
            leaf = logits.clone().requires_grad_(True)
            loss = -(targets([(path, options)], 2, 5)[0][0] * leaf.log_softmax(-1)).sum()
            found += share * torch.autograd.grad(loss, leaf)[0]
    torch.testing.assert_close(exact, drawn)


def test_an_answer_with_probability_zero_has_no_gradient_at_its_own_tokens():
    logits = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    rows = [([1, 2], [([1, 2], 0.7), ([3, 0], 0.3), ([4, 0], 0.0)])]
    (gradient,) = torch.autograd.grad(divergence(logits, rows).sum(), logits)
    assert gradient[0, 0, 4] == 0
    assert gradient[0, 0, 0] > 0


def test_the_divergence_is_zero_where_the_odds_are_known():
    answers = [([1, 2], 0.75), ([3, 4], 0.25)]
    logits = targets([([1, 2], answers)], 2, 5)[0].clamp(min=1e-9).log()
    assert float(divergence(logits, [([1, 2], answers)])) == pytest.approx(0, abs=1e-6)
    assert float(divergence(logits.flip(2), [([1, 2], answers)])) > 0.2

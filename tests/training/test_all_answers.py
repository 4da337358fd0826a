import pytest
import torch

from training.all_answers import LEAST, Row, divergence, next_tokens, targets


def odds(path, answers=()):
    return [one.odds for one in next_tokens(Row(path, answers))]


def test_at_every_token_the_odds_are_those_of_the_answers_that_begin_like_this():
    answers = [([1, 2, 9], 0.5), ([1, 3, 9], 0.3), ([4, 9], 0.2)]
    assert odds([1, 3, 9], answers) == [
        {1: pytest.approx(0.8), 4: pytest.approx(0.2)},
        {2: pytest.approx(0.625), 3: pytest.approx(0.375)},
        {9: 1.0},
    ]


def test_an_answer_that_ends_where_another_goes_on_is_told_from_it_by_its_end():
    assert odds([1, 9], [([1, 9], 0.5), ([1, 2, 9], 0.5)])[1] == {9: 0.5, 2: 0.5}


def test_without_others_the_path_is_the_only_answer():
    assert odds([5, 9]) == [{5: 1.0}, {9: 1.0}]


def test_a_wrong_path_is_followed_to_where_it_goes_wrong():
    answers = [([1, 2, 9], 0.75), ([1, 3, 9], 0.25)]
    assert odds([1, 5, 9], answers) == [{1: 1.0}, {2: 0.75, 3: 0.25}]
    assert odds([7], answers) == [{1: 1.0}]


def test_on_average_over_paths_the_gradient_is_that_of_single_answers():
    answers = [([1, 2], 0.5), ([1, 3], 0.3), ([4, 0], 0.2)]
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    exact, drawn = torch.zeros(2, 5), torch.zeros(2, 5)
    for path, share in answers:
        for found, options in ((exact, answers), (drawn, [])):
            leaf = logits.clone().requires_grad_(True)
            loss = -(targets([Row(path, options)], 2, 5)[0][0] * leaf.log_softmax(-1)).sum()
            found += share * torch.autograd.grad(loss, leaf)[0]
    torch.testing.assert_close(exact, drawn)


def test_what_is_untaught_has_no_gradient_at_its_own_tokens():
    logits = torch.randn(1, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    rows = [Row([1, 2], [([1, 2], 0.6), ([3, 0], 0.3)], [([4, 0], 0.1)])]
    (gradient,) = torch.autograd.grad(divergence(logits, rows).sum(), logits)
    assert gradient[0, 0, 4] == 0
    assert gradient[0, 0, 0] > 0


def test_what_is_taught_weighs_as_much_as_it_has_of_the_odds():
    taught, untaught = [([1, 2], 0.3), ([3, 0], 0.1)], [([1, 4], 0.6)]
    first, second = next_tokens(Row([1, 2], taught, untaught))
    assert first.odds == {1: pytest.approx(0.75), 3: pytest.approx(0.25)} and not first.left_out
    assert first.taught == pytest.approx(0.4)
    assert second.odds == {2: 1.0} and second.left_out == {4} and second.taught == pytest.approx(1 / 3)
    assert next_tokens(Row([3, 0], taught, untaught))[1].taught == 1, "only what is taught begins like this"
    rare = next_tokens(Row([1], [([1], 0.01)], [([4], 0.99)]))
    assert rare[0].taught == LEAST, "what else cannot happen here is learnt, too"


def test_behind_what_is_untaught_there_is_nothing_to_learn():
    *_, last = next_tokens(Row([4, 7], [([1, 2], 0.5)], [([4, 5], 0.5)]))
    assert last.odds == {} and last.left_out == {5} and last.taught == 0
    assert float(divergence(torch.zeros(1, 2, 8), [Row([4, 7], [([1, 2], 0.5)], [([4, 5], 0.5)])])) > 0


def test_the_divergence_is_zero_where_the_odds_are_known():
    answers = [([1, 2], 0.75), ([3, 4], 0.25)]
    logits = targets([Row([1, 2], answers)], 2, 5)[0].clamp(min=1e-9).log()
    assert float(divergence(logits, [Row([1, 2], answers)])) == pytest.approx(0, abs=1e-6)
    assert float(divergence(logits.flip(2), [Row([1, 2], answers)])) > 0.2

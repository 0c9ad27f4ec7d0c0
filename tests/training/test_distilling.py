"""Several moves of a teacher in one look: exact teachers, moves by item, and what is refused."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.samplers.chain import Chain
from diffad.samplers.oneshot import OneShot
from diffad.schedule import Schedule, StraightSchedule
from diffad.training.distilling import ask_for, find_gap, look_consistently, move_between, walk_down
from diffad.training.loss import denoising_loss
from diffad.training.reflow import Teacher
from diffad.training.run import train
from diffad.types import Example
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, KnownNetwork, white_noise
from tests.training.test_objectives import log_of

T = torch.tensor([4, 300, 900])
STATE = ["train.teacher_rule=state", "train.teacher_steps=2"]


class Says(torch.nn.Module):
    """A network that predicts the same image whatever it is shown."""

    def __init__(self, image):
        super().__init__()
        self.image, self.calls, self.labels = image, 0, []

    def forward(self, x_t, labels):
        self.calls += 1
        self.labels.append(labels.tolist())
        return self.image


def draw(seed):
    return torch.randn(3, 1, 6, 5, generator=torch.Generator().manual_seed(seed))


def example_at(schedule, t=T):
    x, z = draw(1).clamp(-1, 1), draw(2)
    return Example(x, z, schedule.add_noise(x, z, t))


DIFFUSION, STRAIGHT = Schedule.linear(), StraightSchedule.of(1000)


@pytest.mark.parametrize(
    ("schedule", "prediction"),
    [(DIFFUSION, "sample"), (DIFFUSION, "epsilon"), (DIFFUSION, "v_prediction"), (STRAIGHT, "flow")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_exact_teacher_gives_the_target_exactly_in_the_state_as_it_is(schedule, prediction):
    example = example_at(schedule)
    taught = ask_for(example.x, example, T, schedule)
    torch.testing.assert_close(taught.z, example.z, rtol=1e-4, atol=1e-4)
    assert torch.equal(taught.x_t, example.x_t)

    def answer(x_t, labels):  # what a student says that has learned its lesson
        a, s = schedule.amplitudes(labels + 1, x_t)
        says = {"sample": taught.x, "epsilon": taught.z, "flow": taught.z - taught.x}
        return (says | {"v_prediction": a * taught.z - s * taught.x})[prediction]

    loss = denoising_loss(answer, taught, T, schedule, prediction)
    torch.testing.assert_close(loss, torch.zeros(3), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule", ["state", "consistency"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_teacher_that_knows_the_image_asks_for_it(rule, steps):
    schedule = Schedule.linear()
    example = example_at(schedule)
    network = Says(example.x)
    teacher = Teacher(network, schedule, steps, rule, "sample")
    taught = teacher.replace_target(example, T, lambda: Says(example.x))
    torch.testing.assert_close(taught.x, example.x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(taught.z, example.z, rtol=1e-3, atol=1e-3)
    assert torch.equal(taught.x_t, example.x_t)
    assert network.calls == (steps if rule == "state" else 1)


@pytest.mark.parametrize("rule", ["state", "consistency"])
def test_what_is_asked_for_explains_the_state_that_is_shown(rule):
    example = example_at(Schedule.linear())
    network = KnownNetwork(GaussianDenoiser())
    taught = Teacher(network, Schedule.linear(), 3, rule, "epsilon").replace_target(
        example, T, lambda: network
    )
    assert not torch.allclose(taught.x, example.x, atol=0.01)
    torch.testing.assert_close(
        Schedule.linear().add_noise(taught.x, taught.z, T), example.x_t, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("level", "steps"), [(300, 5), (900, 3), (4, 4), (4, 1)])
def test_state_rule_arrives_where_the_chain_of_as_many_steps_does(level, steps):
    schedule, t = Schedule.linear(), torch.full((3,), level)
    x, z = draw(1), draw(2)
    chain = Chain(level=level, steps=steps, step="ddim")
    expected = chain(x, GaussianDenoiser(), lambda *a, **k: z, generator=torch.Generator()).image
    walked = walk_down(GaussianDenoiser(), schedule.add_noise(x, z, t), t, steps)
    torch.testing.assert_close(walked, expected, rtol=1e-4, atol=1e-5)


def test_one_move_of_a_teacher_is_its_estimate():
    x_t = draw(3)
    torch.testing.assert_close(walk_down(GaussianDenoiser(), x_t, T, 1), GaussianDenoiser()(x_t, T))


def test_student_that_learned_the_walk_makes_it_in_one_evaluation():
    x, z = draw(1), draw(2)
    level, schedule = 400, Schedule.linear()
    x_t = schedule.add_noise(x, z, level)
    walked = walk_down(GaussianDenoiser(), x_t, torch.full((3,), level), 4)
    result = OneShot(level)(x, ConstantDenoiser(walked), lambda *a, **k: z, generator=torch.Generator())
    expected = Chain(level=level, steps=4, step="ddim")(
        x, GaussianDenoiser(), lambda *a, **k: z, generator=torch.Generator()
    )
    assert (result.nfe, expected.nfe) == (1, 4)
    torch.testing.assert_close(result.image, expected.image, rtol=1e-4, atol=1e-5)


def test_item_alone_walks_as_in_a_batch_of_other_levels():
    x_t = draw(3)
    together = walk_down(GaussianDenoiser(), x_t, T, 3)
    for i in range(3):
        alone = walk_down(GaussianDenoiser(), x_t[i : i + 1], T[i : i + 1], 3)
        torch.testing.assert_close(alone[0], together[i])


def test_levels_below_the_number_of_moves_are_never_asked_at_level_zero():
    denoiser = GaussianDenoiser()
    walk_down(denoiser, draw(3), torch.tensor([1, 2, 3]), 5)
    assert min(denoiser.levels) >= 1


def test_a_move_between_a_level_and_itself_changes_nothing():
    x_t = draw(3)
    torch.testing.assert_close(move_between(x_t, draw(4), T, T, Schedule.linear()), x_t)


def test_consistency_asks_the_student_a_gap_lower_and_keeps_the_clean_end():
    teacher, told, x_t = GaussianDenoiser(), draw(5), draw(3)
    student = ConstantDenoiser(told)
    answer = look_consistently(teacher, student, x_t, torch.tensor([40, 100, 350]), 100)
    # from level 40 and 100 the move ends at the clean image, where a look is the image itself
    torch.testing.assert_close(answer[:2], teacher(x_t, torch.tensor([40, 100, 350]))[:2])
    assert torch.equal(answer[2], told[2])
    assert student.levels == [1, 1, 250]


def test_consistency_of_an_exact_student_is_the_end_of_the_whole_path():
    x, z, schedule = draw(1), draw(2), Schedule.linear()
    answer = look_consistently(ConstantDenoiser(x), ConstantDenoiser(x), schedule.add_noise(x, z, T), T, 10)
    torch.testing.assert_close(answer, x, rtol=1e-3, atol=1e-4)


def test_gap_spans_the_levels_in_so_many_looks():
    assert [find_gap((1, 250), n) for n in (1, 10, 250, 240)] == [250, 25, 1, 2]


def test_consistency_needs_a_student():
    teacher = Teacher(Says(draw(1)), Schedule.linear(), 2, "consistency", "sample")
    with pytest.raises(ValueError, match="'consistency' expected a student to ask, got none"):
        teacher.replace_target(example_at(Schedule.linear()), T)


@pytest.mark.parametrize("rule", ["state", "consistency"])
def test_a_network_of_diffusion_learns_from_itself_and_looks_once(small, rule):
    first = train(small())
    changes = [
        f"train.network={first}",
        f"train.teacher={first}",
        f"train.teacher_rule={rule}",
        "name=second",
    ]
    changes += ["train.teacher_steps=2", "train.lr=1.0e-6", "sampler={name: oneshot, levels: [20]}"]
    second = train(small(*changes))
    losses = [log_of(folder.parent)[0]["loss"] for folder in (first, second)]
    assert losses[1] < 0.5 * losses[0]  # it is asked for what it nearly says
    pipe = AnomalyPipeline.from_pretrained(second)
    out = pipe(torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert out.info["nfe"] == 1
    assert out.anomaly_map.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.teacher_rule=other"], r"train\.teacher_rule: expected one of path, state, consistency"),
        (
            [*STATE, "sampler={name: patched, inner: {name: oneshot, levels: [10]}}"],
            r"train\.teacher_rule: sampler 'patched' makes examples of its own",
        ),
        (
            ["train.teacher_rule=state", "train.teacher_steps=99"],
            r"train\.teacher_steps: expected at most the highest level, 50, got 99",
        ),
        (STATE, r"nowhere: expected the folder of a pipeline or a network"),
        (["train.teacher_rule=path"], r"train\.teacher: .* flow with it, or train\.teacher_rule state or"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(small, changes, message):
    with pytest.raises(Exception, match=message) as caught:
        train(small("train.teacher=nowhere", *changes))
    assert isinstance(caught.value, ConfigError) or "nowhere" in str(caught.value)


def test_white_noise_and_walk_keep_the_spread_of_the_data():
    """A walk of many moves carries white noise to the data's own distribution, a single look to its mean."""
    denoiser, schedule = GaussianDenoiser(), Schedule.linear()
    x = denoiser.std * torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    t = torch.full((len(x),), 600)
    z = white_noise(x, generator=torch.Generator().manual_seed(3))
    x_t = schedule.add_noise(x, z, t)
    many, one = (walk_down(denoiser, x_t, t, k).std() for k in (100, 1))
    assert one < 0.8 * x.std()
    assert abs(many / x.std() - 1) < 0.05

"""Images of prompts and of tools' results, through TRL's trainer and a tiny model that takes them."""

import io
from contextlib import ExitStack

import pytest
from ors_scripted import SideBySide, say, trainer, vision
from trl import GRPOTrainer

from trainwright.testing import tiny_image
from trainwright_ors.client import OrsError, close_all
from trainwright_ors.episode import ToolError
from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output, image, text

PAD = "<|image_pad|>"  # one for 28 x 28 pixels


def png(width):
    written = io.BytesIO()
    tiny_image(width=width).save(written, "PNG")
    return written.getvalue()


SEEN = [text("First"), image(png(56)), text("then")]


@pytest.fixture
def serving():
    """Makes servers whose prompt is given, with a tool that returns an image of three tokens, and one whose is none."""
    look = FakeTool("look", lambda given: Output([text("see"), image(png(84))], reward=1.0))
    broken = FakeTool("broken", lambda given: Output([image(b"no image")]))
    with ExitStack() as stack:
        yield lambda prompt: stack.enter_context(
            FakeServer([FakeEnvironment("seenenv", [look, broken], prompt=lambda task: prompt(task))])
        )
        close_all()


def looks(prompt, turn):
    return say("look") if turn == 0 else "done"


def patches(made):
    """The grids of the images that reach the model's vision tower, `(height, width)` in patches, a list each time."""
    seen = []

    def note(module, args, named):
        seen.append([tuple(grid[1:]) for grid in named["grid_thw"].tolist()])

    made.model.base_model.visual.register_forward_pre_hook(note, with_kwargs=True)
    return seen


@pytest.mark.parametrize("base", [GRPOTrainer, SideBySide])
def test_a_model_that_takes_images_is_shown_and_trained_on_them(serving, spec_of, tmp_path, base):
    made = trainer(base, looks, spec_of(serving(lambda task: SEEN), vision=True), tmp_path, steps=2, **vision())
    trained = patches(made)
    made.train()
    assert made.rewards_seen == [[1.0]] * 8
    turns = [(prompt.count("<tool_response>"), prompt.count(PAD)) for prompt in made.prompts_seen]
    assert turns == [*[(0, 2)] * 4, *[(1, 5)] * 4] * 2
    assert all("First<|vision_start|>" in prompt for prompt in made.prompts_seen)
    assert trained == [[(2, 4), (2, 6)] * 4] * 2


@pytest.mark.parametrize("base", [GRPOTrainer, SideBySide])
def test_images_that_some_rollouts_see_are_theirs(serving, spec_of, tmp_path, base):
    def script(prompt, turn):
        return looks(prompt, turn) if "Task 1" in prompt else "done"

    made = trainer(base, script, spec_of(serving(lambda task: f"Task {task['n']}"), vision=True), tmp_path, steps=2,
                   **vision())  # fmt: skip
    trained = patches(made)
    made.train()
    assert sorted(reward for (reward,) in made.rewards_seen) == [0.0] * 6 + [1.0] * 2
    assert trained == [[(2, 6)] * 2]


@pytest.mark.parametrize(
    ("prompt", "tool", "settings", "said"),
    [
        (SEEN, "look", {}, r"environment 'seenenv', task train\[\d\]: there are images.*takes none\n.*images: omit"),
        ("Look", "look", {}, r"environment 'seenenv', task train\[\d\], tool 'look': there are images.*takes none"),
        (
            "Look",
            "broken",
            {"vision": True},
            r"environment 'seenenv', task train\[\d\], tool 'broken': an image.*cannot be read",
        ),
    ],
)
def test_images_that_cannot_be_shown_end_the_run(serving, spec_of, tmp_path, prompt, tool, settings, said):
    spec = spec_of(serving(lambda task: prompt), **settings)
    kind = vision() if settings else {}
    made = trainer(SideBySide, lambda text, turn: say(tool) if turn == 0 else "done", spec, tmp_path, **kind)
    with pytest.raises(OrsError, match=said):
        made.train()


def test_a_model_that_takes_none_is_shown_where_they_were(serving, spec_of, tmp_path):
    made = trainer(SideBySide, looks, spec_of(serving(lambda task: SEEN), images="omit"), tmp_path)
    made.train()
    assert all("First\n[image]\nthen" in prompt for prompt in made.prompts_seen)
    assert "<tool_response>\nsee\n[image]\n</tool_response>" in made.prompts_seen[-1]


@pytest.mark.parametrize(("settings", "shown"), [({"vision": True}, None), ({"images": "omit"}, "see\n[image]")])
def test_a_trainer_that_makes_text_of_results_is_given_no_image(serving, spec_of, settings, shown):
    spec = spec_of(serving(lambda task: "Look"), **settings)
    episode = spec.scoring_factory()
    episode.reset(**spec.dataset[0])
    if shown is not None:
        assert episode._begin_call("look", {}).result() == shown
        return
    with pytest.raises(ToolError, match="takes none"):
        episode._begin_call("look", {}).result()
    with pytest.raises(OrsError, match=r"environment 'seenenv', task train\[\d\], tool 'look': there are images"):
        episode.get_reward()

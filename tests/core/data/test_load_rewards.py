"""Reward functions are imported from files, from installed modules, and from the folder where one stands."""

from __future__ import annotations

import pickle
import sys

import pytest

from trainwright.config.models import RunConfig
from trainwright.data.rewards import load_reward
from trainwright.errors import ConfigError

GOOD = "def short(completions, **kwargs):\n    return [-float(len(text)) for text in completions]\n"


@pytest.fixture(autouse=True)
def restored_imports(tmp_path):
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def load(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()

    def make(reference):
        config = RunConfig(
            method="grpo", model={"path": "some/model"}, output="run", rewards=["other:first", reference]
        )
        config._folder = folder
        return load_reward(reference, config)

    return make


def test_a_file_beside_the_config(load, tmp_path):
    (tmp_path / "configs" / "rewards.py").write_text(GOOD)
    function = load("rewards.py:short")
    assert function(prompts=["p"], completions=["abc"], answer=["x"]) == [-3.0]
    assert pickle.loads(pickle.dumps(function)) is function
    assert load("rewards.py:short") is function


def test_a_module_beside_the_config_or_in_the_working_folder(load, tmp_path, monkeypatch):
    (tmp_path / "configs" / "beside_rewards.py").write_text(GOOD)
    work = tmp_path / "work"
    work.mkdir()
    (work / "here_rewards.py").write_text("import here_helper\n" + GOOD)
    (work / "here_helper.py").write_text("")
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])  # as in a console script
    assert load("beside_rewards:short")(completions=["a"]) == [-1.0]
    assert load("here_rewards:short")(completions=["ab"]) == [-2.0]


def test_two_files_of_one_name_do_not_meet(load, tmp_path):
    for name, factor in (("a", 1), ("b", 2)):
        (tmp_path / "configs" / name).mkdir()
        (tmp_path / "configs" / name / "r.py").write_text(f"def f(**kwargs): return [{factor}.0]\n")
    assert [load("a/r.py:f")(), load("b/r.py:f")()] == [[1.0], [2.0]]


def test_a_module_that_imports_later_finds_its_neighbours(load, tmp_path):
    (tmp_path / "configs" / "late.py").write_text(
        "def f(**kwargs):\n    import late_helper\n    return [late_helper.ONE]\n"
    )
    (tmp_path / "configs" / "late_helper.py").write_text("ONE = 1.0\n")
    assert load("late.py:f")() == [1.0]


@pytest.mark.parametrize(
    ("content", "reference", "message"),
    [
        (GOOD, "r.py", r"names no function(.|\n)*file\.py:function"),
        (GOOD, "r.py:", "names no function"),
        (GOOD, "missing.py:short", "no such file"),
        (GOOD, "no_such_module_at_all:short", "there is no module `no_such_module_at_all`"),
        (GOOD, "r.py:shrt", r"has no `shrt`\n.*Did you mean `short`"),
        (
            "import no_such_package\n",
            "r.py:f",
            r"named 'no_such_package'(.|\n)*r\.py:1(.|\n)*pip install",
        ),
        ("x = 1\n1 / 0\n", "r.py:f", r"ZeroDivisionError: division by zero \(.*r\.py:2\)"),
        ("def f(:\n", "r.py:f", "SyntaxError"),
        ("class F:\n    def __call__(self, **kwargs): ...\n", "r.py:F", r"is a class\n.*plain function"),
        ("class F:\n    def __call__(self, **kwargs): ...\nf = F()\n", "r.py:f", "is an object of F"),
        ("f = 3\n", "r.py:f", "is an object of int"),
        ("def f(completions): ...\n", "r.py:f", r"does not take `\*\*kwargs`"),
    ],
)
def test_what_is_no_reward_function_is_refused(load, tmp_path, content, reference, message):
    (tmp_path / "configs" / "r.py").write_text(content)
    path = list(sys.path)
    with pytest.raises(ConfigError, match=message) as caught:
        load(reference)
    assert caught.value.problems[0].where.endswith("rewards.1")
    assert sys.path[: len(path)] == path


def test_a_file_that_failed_is_imported_anew(load, tmp_path):
    file = tmp_path / "configs" / "r.py"
    file.write_text(GOOD + "1 / 0\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="ZeroDivisionError"):
            load("r.py:short")
    file.write_text(GOOD)
    assert load("r.py:short")(completions=["a"]) == [-1.0]


def test_a_torch_module_is_refused(load, tmp_path):
    (tmp_path / "configs" / "r.py").write_text("import torch\nmodel = torch.nn.Linear(1, 1)\n")
    with pytest.raises(ConfigError, match="is an object of Linear"):
        load("r.py:model")

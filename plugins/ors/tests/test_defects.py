"""The documented defects of TRL's own adapter (1.16), and for each the tests that show it absent here.

Most of these run against both real servers. The numbers are those of the list that the plugin was built from.
"""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEFECTS = {
    1: ("another environment is bound than the one named", "train/test_spec.py::test_each_task_has_its_own_tools"),
    2: ("a URL needs two variables of the process", "servers/test_real.py::test_a_server_has_all_environments"),
    3: ("num_tasks and indices fail on ors-sdk", "train/test_spec.py::test_the_tasks_asked_for"),
    4: (
        "a key of the process is sent to any URL",
        "client/test_secrecy.py::test_keys_of_the_environment_are_not_taken",
        "client/test_secrecy.py::test_the_key_goes_to_its_server_alone_though_connections_are_shared",
    ),
    5: (
        "secrets are refused by one server and dropped by the other",
        "verbs/test_env_verbs.py::test_a_secret_reaches_the_environment_and_is_not_printed",
        "client/test_secrecy.py::test_secrets_go_by_the_channel_that_the_server_reads_and_by_no_other",
    ),
    6: ("keys follow redirects to other hosts", "client/test_secrecy.py::test_redirects_are_never_followed"),
    7: (
        "names that are Python's keywords end the run",
        "train/test_tools.py::test_any_name_is_a_tool_and_shadows_nothing",
    ),
    8: (
        "names that are no identifiers lose their tool",
        "servers/test_real.py::test_tools_of_richenv_and_what_they_return",
        "train/test_tools.py::test_any_name_is_a_tool_and_shadows_nothing",
    ),
    9: (
        "$ref, nested objects, enums and bounds are lost",
        "train/test_tools.py::test_schemas_are_verbatim",
        "train/test_tools.py::test_a_template_is_shown_the_schema_as_it_is",
    ),
    10: (
        "optionals with a default_factory are sent as null",
        "servers/test_real.py::test_tools_of_richenv_and_what_they_return",
    ),
    11: ("all optionals are always sent", "servers/test_real.py::test_tools_of_richenv_and_what_they_return"),
    12: ("a schema that is a boolean ends the run", "train/test_tools.py::test_schemas_are_verbatim"),
    13: (
        "descriptions that look like docstrings end the run",
        "train/test_tools.py::test_schemas_are_verbatim",
        "train/test_grpo.py::test_a_real_environment_of_odd_tools_is_played",
    ),
    14: (
        "tools replace the adapter's own methods",
        "train/test_hostile_tools.py::test_whatever_tools_are_called_and_say_is_shown_and_called_and_never_evaluated",
        "train/test_grpo.py::test_a_real_environment_of_odd_tools_is_played",
    ),
    15: (
        "an argument named locals fails",
        "train/test_hostile_tools.py::test_whatever_tools_are_called_and_say_is_shown_and_called_and_never_evaluated",
    ),
    16: (
        "names with a newline fail or are renamed",
        "train/test_hostile_tools.py::test_whatever_tools_are_called_and_say_is_shown_and_called_and_never_evaluated",
    ),
    17: (
        "failed calls are not counted as failed",
        "train/test_grpo.py::test_failed_calls_are_counted_and_the_model_is_told",
    ),
    18: ("one failed tool ends the session", "servers/test_real.py::test_a_tool_that_raises"),
    19: (
        "ids and class names are in the training text",
        "train/test_spec.py::test_what_fails_is_told_to_the_model_without_ids_and_addresses",
        "train/test_grpo.py::test_two_seeded_runs_see_and_score_the_same",
    ),
    20: (
        "a set-up that fails ends the run",
        "train/test_failures.py::test_a_session_that_cannot_be_set_up_is_tried_afresh",
    ),
    21: (
        "nothing has a deadline",
        "client/test_real_faults.py::test_a_tool_that_never_returns_does_not_hold_the_session_s_end_up",
        "client/test_bad_input.py::test_it_ends_the_episode_in_time_by_environment_and_task",
    ),
    22: (
        "a call that is lost early is executed twice",
        "client/test_real_faults.py::test_no_tool_runs_twice_however_connections_are_cut",
    ),
    23: (
        "sessions are left",
        "client/test_real_faults.py::test_no_session_is_left_at_an_exit",
        "client/test_real_faults.py::test_after_sigkill_sessions_live_as_long_as_the_server_lets_them",
        "train/test_grpo.py::test_a_run_scores_logs_and_leaves_no_session",
    ),
    24: ("calls go on after the end", "train/test_spec.py::test_after_the_end_nothing_is_sent_and_the_score_stays"),
    25: ("only the last reward counts", "train/test_spec.py::test_rewards_of_calls_become_a_score"),
    26: (
        "images are dropped",
        "train/test_spec.py::test_images_are_shown_omitted_or_refused",
        "train/test_images.py::test_a_model_that_takes_images_is_shown_and_trained_on_them",
    ),
    27: ("terminal tools are not called", "train/test_spec.py::test_the_answer_goes_to_the_terminal_tool"),
    28: (
        "all tasks are shown the first one's tools",
        "train/test_grpo.py::test_each_prompt_shows_the_tools_of_its_task",
    ),
    29: (
        "a task's keys become columns and arguments",
        "train/test_hostile_tools.py::test_keys_of_tasks_are_no_columns_and_no_arguments",
    ),
    30: (
        "three requests a task, and all tasks in memory",
        "train/test_sources.py::test_a_hundred_thousand_tasks_take_a_few_requests_and_little_memory",
    ),
    31: (
        "nothing can be pickled for AsyncGRPO",
        "train/test_async.py::test_a_spawned_worker_plays_its_rollouts_and_leaves_no_session",
    ),
    32: (
        "signs of life go on for sessions that are gone",
        "client/test_session.py::test_signs_of_life_go_on_while_a_tool_runs_and_stop_when_the_session_is_gone",
    ),
}


@pytest.mark.parametrize("number", DEFECTS)
def test_each_defect_has_its_tests(number):
    _, *tests = DEFECTS[number]
    assert tests
    for test in tests:
        file, name = test.split("::")
        tree = ast.parse((HERE / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


def test_none_is_left_out():
    assert list(DEFECTS) == list(range(1, 33))

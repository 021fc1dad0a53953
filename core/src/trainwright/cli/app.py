"""The verbs and their arguments. Nothing is imported here that a verb needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainwright.cli.complete import plugin_names
from trainwright.cli.trouble import Verbs
from trainwright.cli.verbs import help_style

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The run, as a YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY.SUB=VALUE", help="Keys that replace the file's: training.max_steps=20", show_default=False
    ),
]
NoPlugin = Annotated[
    list[str] | None,
    typer.Option(
        "--no-plugin",
        metavar="NAME",
        help="Leave this plugin out; may be repeated.",
        autocompletion=plugin_names,
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the warnings and logs of the libraries underneath.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]

app = typer.Typer(
    name="trainwright",
    cls=Verbs,
    help="Train language models after pre-training, with losses, templates, environments and metrics as plugins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=help_style(),
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from trainwright import __version__

        print(f"trainwright {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None: ...


@app.command()
def train(config: Config, overrides: Overrides = None, no_plugin: NoPlugin = None, verbose: Verbose = False) -> None:
    """Check everything, then train.

    The run's folder (`output:`) holds the model, metrics, manifest and report. Ctrl-C ends cleanly with a checkpoint.
    """
    from trainwright.cli.train import train as run

    raise typer.Exit(run(config, overrides or (), no_plugin or (), verbose=verbose))


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the run.", show_default=False)],
    overrides: Overrides = None,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Go on although packages, data or the config have changed since.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Continue an interrupted run.

    It goes on from the last whole checkpoint, as if it had never stopped. Overrides may make the run longer, or change
    how often it saves and logs; all else is drift.
    """
    from trainwright.cli.train import resume as run

    raise typer.Exit(run(folder, overrides or (), allow_drift=allow_drift, verbose=verbose))


@app.command()
def validate(config: Config, overrides: Overrides = None, no_plugin: NoPlugin = None, verbose: Verbose = False) -> None:
    """Find every problem of a config.

    Needs no model, network or GPU. Where all is well, says what a run would do.
    """
    from trainwright.cli.validate import validate as run

    run(config, overrides or (), no_plugin or (), verbose=verbose)


@app.command()
def preview(
    config: Config,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows of the training data.")] = 3,
    as_json: Json = False,
    no_plugin: NoPlugin = None,
    verbose: Verbose = False,
) -> None:
    """Show which tokens carry loss.

    Prints the first rows of the training data as they will be trained on: tokens that carry loss in colour, or in
    ⟦brackets⟧ where there is no colour, and their share.
    """
    from trainwright.cli.preview import preview as run

    run(config, overrides or (), no_plugin or (), rows=rows, as_json=as_json, verbose=verbose)


@app.command()
def plugins(
    as_json: Json = False,
    traceback: Annotated[
        str | None,
        typer.Option(
            "--traceback",
            metavar="NAME",
            help="Load the plugins and show why this one is broken.",
            autocompletion=plugin_names,
            show_default=False,
        ),
    ] = None,
    no_plugin: NoPlugin = None,
) -> None:
    """List the installed plugins.

    Name, distribution, version, state and the hooks that each provides, from package metadata alone; and why any is set
    aside.
    """
    from trainwright.cli.plugins import list_plugins, show_traceback

    if traceback is not None:
        show_traceback(traceback, no_plugin or ())
    else:
        list_plugins(no_plugin or (), as_json=as_json)


@app.command()
def explain(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A config; default: what is installed.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    model: Annotated[
        bool, typer.Option("--model", help="Load the model's tokenizer and say how its chat template resolves.")
    ] = False,
    as_json: Json = False,
    no_plugin: NoPlugin = None,
    verbose: Verbose = False,
) -> None:
    """Say who answers each hook, and why.

    With a CONFIG, for that run; without, for what is installed. Names package, version and file, and what is set aside.
    """
    from trainwright.cli.explain import explain as run

    raise typer.Exit(run(config, overrides or (), no_plugin or (), model=model, as_json=as_json, verbose=verbose))


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it to this file.", show_default=False)
    ] = None,
    no_plugin: NoPlugin = None,
    verbose: Verbose = False,
) -> None:
    """Print the JSON Schema of a config.

    For editors and programs; the settings of all installed plugins are included.
    """
    from trainwright.cli.schema import schema as run

    run(output, no_plugin or (), verbose=verbose)


template = typer.Typer(help="See, check and write what a model's chat template becomes.", no_args_is_help=True)
app.add_typer(template, name="template")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A hub id or a folder.", show_default=False)]
Provider = Annotated[str, typer.Option("--provider", metavar="NAME", help="Who is asked, as `template:` names it.")]


@template.command()
def show(model: Model, provider: Provider = "auto", no_plugin: NoPlugin = None, verbose: Verbose = False) -> None:
    """Say how a model's chat template is resolved, and why; show a conversation with its mask."""
    from trainwright.cli.template import show as run

    raise typer.Exit(run(model, provider, no_plugin or (), verbose=verbose))


@template.command()
def check(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Conversations, as JSON lines; default: the provider's own."),
    ] = None,
    provider: Provider = "auto",
    no_plugin: NoPlugin = None,
    verbose: Verbose = False,
) -> None:
    """Derive and verify the mask of every conversation.

    The exit code is 1 where one of the data is refused, or none has a mask.
    """
    from trainwright.cli.template import check as run

    raise typer.Exit(run(model, data, provider, no_plugin or (), verbose=verbose))


@template.command()
def export(
    model: Model,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it to this file.", show_default=False)
    ] = None,
    provider: Provider = "auto",
    no_plugin: NoPlugin = None,
    verbose: Verbose = False,
) -> None:
    """Write the template with generation markers, for other programs; the model's own where there is none."""
    from trainwright.cli.template import export as run

    run(model, output, provider, no_plugin or (), verbose=verbose)

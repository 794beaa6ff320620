"""From manifest files to catalog values, lazily: a provider's service is read when a statement names it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provider.catalog.catalog import Provider, Resource, Service, spelling
from provider.errors import BindError, ManifestError, Place, did_you_mean

if TYPE_CHECKING:
    from provider.catalog import manifest
    from provider.catalog.reading import Stamp
    from provider.catalog.yamltext import Document

# `reading` is imported where it is used: it brings pydantic and PyYAML, which a statement without
# resources does not need.


def bundled() -> Path:
    """The folder of manifests that come with ApiQL: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_manifests"
    return inside if inside.is_dir() else package.parent / "manifests"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a provider's documents stand: a folder with one file a service, or a single file."""

    path: Path

    @property
    def provider(self) -> Path:
        """The file with the provider's own document."""
        return self.path / "provider.yaml" if self.path.is_dir() else self.path

    @property
    def services(self) -> Mapping[str, Path]:
        """The file of each service: the provider's own file, or one beside it, which is not read yet."""
        from provider.catalog.reading import Stamp, documents_of

        inside = (d.data["service"] for d in documents_of(Stamp.of(self.provider)) if "service" in d.data)
        # Each statement looks, so this is quick; and Ctrl-C finds nothing open in it, as it may in a glob.
        beside = sorted(os.listdir(self.path)) if self.path.is_dir() else []
        names = [file.removesuffix(".yaml") for file in beside if file.endswith(".yaml") and file != "provider.yaml"]
        return dict.fromkeys(inside, self.provider) | {name: self.path / f"{name}.yaml" for name in names}


#: By the files of provider and service, the service's name, its version, and the names of accounts.
_BUILT: dict[tuple[Stamp, Stamp, str, str | None, tuple[str, ...]], Service] = {}


class Catalog:
    """All providers that a connection knows.

    Args:
        folders: folders of manifests in addition to the bundled ones; each holds one folder or file a
            provider, or is itself a provider's folder or file. A provider named again replaces the
            earlier one.
        versions: API version by service (`{"openai.assistants": "v1"}`) or by provider (`{"openai": "v1"}`).
        environ: where manifests' environment variables are looked up.
        accounts: names of accounts by provider; those of a provider without are one account without a name.

    Raises:
        ManifestError: a folder without manifests; broken files are reported when they are first needed.
    """

    def __init__(
        self,
        folders: Sequence[str | os.PathLike[str]] = (),
        versions: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        accounts: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._accounts = {provider: tuple(names) for provider, names in (accounts or {}).items()}
        self._versions = dict(versions or {})
        self._environ = os.environ if environ is None else environ
        self._sources: dict[str, _Source] = {}
        for folder in (bundled(), *folders):
            self._sources |= _sources(Path(folder))
        self._loaded: dict[tuple[str, str], Service] = {}
        for name in self._versions:
            self.provider(name.split(".")[0])

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of all providers, sorted."""
        return tuple(sorted(self._sources))

    def has_provider(self, name: str) -> bool:
        """Whether a provider of that name exists, in whatever case it is written."""
        return spelling(name, self._sources) is not None

    def provider(self, name: str, place: Place | None = None) -> Provider:
        """A provider by name, in whatever case it is written, as all names here.

        Raises:
            BindError: no such provider.
            ManifestError: its document cannot be used.
        """
        found_name = spelling(name, self._sources)
        if found_name is None:
            raise BindError(
                f'no provider "{name}"',
                place=place,
                remedy=did_you_mean(name, self.providers) or "SHOW PROVIDERS",
            )
        name = found_name
        from provider.catalog.reading import Stamp, provider_document, provider_of

        stamp = Stamp.of(self._sources[name].provider)
        found = provider_of(stamp)
        if found.name != name:
            raise ManifestError(
                f'provider "{found.name}" stands under the name "{name}"',
                place=provider_document(stamp).value_place(("provider",)),
                remedy="A provider's folder or file is named after it.",
            )
        return found

    def services(self, provider: str, place: Place | None = None) -> tuple[str, ...]:
        """Names of a provider's services, sorted."""
        return tuple(sorted(self._sources[self.provider(provider, place).name].services))

    def service(self, provider: str, name: str, place: Place | None = None) -> Service:
        """A service, in the chosen version.

        Raises:
            BindError: no such provider or service, or the API has no such version.
            ManifestError: its document cannot be used; all of the document's problems in one error.
        """
        owner = self.provider(provider, place)
        if (loaded := self._loaded.get((owner.name, name))) is not None:
            return loaded  # before any file is looked for
        provider, names = owner.name, self._sources[owner.name].services
        found = spelling(name, names)
        if found is None:
            raise BindError(
                f'provider "{provider}" has no service "{name}"',
                place=place,
                remedy=did_you_mean(name, sorted(names)),
            )
        name = found
        if (provider, name) not in self._loaded:
            self._loaded[provider, name] = self._built(owner, name)
        return self._loaded[provider, name]

    def resource(self, provider: str, service: str, name: str, place: Place | None = None) -> Resource:
        """A resource.

        Raises:
            BindError: no such name; it says when another API version has it.
        """
        found = self.service(provider, service, place)
        if known := spelling(name, found.resources):
            return found.resources[known]
        owner = f"{found.provider}.{found.name}"
        if known := spelling(name, found.elsewhere):
            versions = " and ".join(found.elsewhere[known])
            raise BindError(
                f"{owner}.{known} exists in {versions} of the API only",
                place=place,
                reason=f"This connection speaks {found.version}.",
                remedy=how_to_choose(found, found.elsewhere[known][0]),
            )
        raise BindError(
            f'service "{owner}" has no resource "{name}"',
            place=place,
            remedy=did_you_mean(name, found.resources),
        )

    def _built(self, owner: Provider, name: str) -> Service:
        """A service as its files are now; one that takes nothing over from others is built once for all catalogs."""
        from provider.catalog.reading import ServiceBuilder, Stamp, completed_service

        source, accounts = self._sources[owner.name], self._accounts.get(owner.name, ())
        document, model = self._written(owner.name, name)
        version = self._wanted(owner.name, name, model.versions)
        key = (Stamp.of(source.provider), Stamp.of(source.services[name]), name, version, accounts)
        if key in _BUILT:
            return _BUILT[key]
        others: list[str] = []

        def read(provider: str, service: str) -> tuple[Document, manifest.ServiceDocument]:
            others.append(f"{provider}.{service}")
            return self._written(provider, service)

        model = completed_service(document, model, owner, read)
        if model.versions is not None and version not in model.versions.all:
            raise BindError(
                f'{owner.name}.{name} has no version "{version}"',
                remedy=f"Versions: {', '.join(model.versions.all)}",
            )
        service = ServiceBuilder(model, owner, version, accounts).service()
        if not others:
            _BUILT[key] = service
        return service

    def _written(self, provider: str, service: str) -> tuple[Document, manifest.ServiceDocument]:
        """A service's document as it is written, by its exact name; errors as `service`."""
        from provider.catalog.reading import Stamp, service_of

        names = self._sources[self.provider(provider).name].services
        if service not in names:
            remedy = did_you_mean(service, sorted(names))
            raise BindError(f'provider "{provider}" has no service "{service}"', remedy=remedy)
        return service_of(Stamp.of(names[service]), service)

    def _wanted(self, provider: str, service: str, versions: manifest.Versions | None) -> str | None:
        """The version that was chosen, which may not exist; None where the API has but one."""
        if versions is None:
            return None
        return (
            self._versions.get(f"{provider}.{service}")
            or self._versions.get(provider)
            or self._environ.get(versions.env or "")
            or versions.default
        )


def how_to_choose(service: Service, version: str) -> str:
    """A sentence that says how to speak another version of a service."""
    name = f"{service.provider}.{service.name}"
    env = f" or {service.version_env}={version}" if service.version_env else ""
    connect = f'provider.connect(versions={{"{name}": "{version}"}})'
    return f"Choose it with {connect}, --api-version {name}={version}{env}."


def check(path: Path) -> list[str]:
    """Load every document of a manifest file or folder completely.

    Returns:
        `provider.service.resource` of all that was found, sorted.

    Raises:
        ManifestError: all problems of all files together, or that there are no manifests.
    """
    from provider.catalog.reading import together

    found: list[str] = []
    problems: list[ManifestError] = []
    for name, source in _sources(path).items():
        try:
            Catalog([path], environ={}).provider(name)
            for service in source.services:
                found += _check_service(path, name, service)
        except ManifestError as e:
            problems.append(e)
    if problems:
        raise together(problems)
    if not found:
        raise ManifestError(f"no manifests at {path}", remedy="Name a folder of manifests, or a manifest file.")
    return sorted(set(found))


def _check_service(path: Path, provider: str, service: str) -> list[str]:
    """The resources of a service, loaded in each of its versions."""
    found: list[str] = []
    for version in Catalog([path], environ={}).service(provider, service).versions or (None,):
        chosen = Catalog([path], {provider: version} if version else None, environ={})
        found += [r.id for r in chosen.service(provider, service).resources.values()]
    return found


def _sources(folder: Path) -> dict[str, _Source]:
    """Providers in a folder of providers, a provider's own folder, or a single file."""
    if folder.is_file() or (folder / "provider.yaml").is_file():
        source = _Source(folder)
        from provider.catalog.reading import Stamp, provider_of

        return {provider_of(Stamp.of(source.provider)).name: source}
    if not folder.is_dir():
        raise ManifestError(f"no manifests at {folder}", remedy="Name a folder of manifests, or a manifest file.")
    return {
        entry.name if entry.is_dir() else entry.stem: _Source(entry)
        for entry in sorted(folder.iterdir())
        if (entry / "provider.yaml").is_file() or (entry.is_file() and entry.suffix == ".yaml")
    }

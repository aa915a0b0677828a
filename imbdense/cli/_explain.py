"""Turn the exceptions of a training run into messages a person can act on."""

from __future__ import annotations

import contextlib
import difflib
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from imbdense.cli.main import UserError


@contextlib.contextmanager
def explained(config_path: str, show_traceback: bool) -> Iterator[None]:
    """Raise ``UserError`` with a short message for an exception inside; leave it alone with ``show_traceback``."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if show_traceback:
            raise
        raise UserError(explain(error, config_path)) from error


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: a bare ``except`` of the host (writing the config) makes another one of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def explain(error: Exception, config_path: str) -> str:
    """One message: what went wrong, where, and what to do."""
    ours = _own_message(error)
    if ours is not None:
        return ours
    text = str(error).strip()
    for pattern, answer in (
        (r"(\S+) is not in the (\S+?)(?:::(\S+))? registry", _unknown_type),
        (r"unexpected keyword argument '(\w+)'", _unknown_argument),
        (r'missing \d+ required (?:positional|keyword-only) arguments?: (.+)', _missing_argument),
        (r'to have (\d+) channels, but got (\d+) channels', _wrong_channels),
    ):
        match = re.search(pattern, text)
        if match:
            return answer(match, error, config_path)
    if isinstance(error, (ValueError, TypeError, RuntimeError, ImportError)) and _raised_by_us(error):
        return text
    place = _place(error)
    if isinstance(error, FileNotFoundError):
        name = error.filename or text
        return (f'file not found: {name}. If it is data: `imbdense prepare` or `imbdense generate scenes` makes the '
                f'folders the configs expect; another place is set with --cfg-options data_root=... ({place})')
    if 'out of memory' in text.lower():
        return f'out of memory: {text.splitlines()[0]} Try a smaller batch_size or crop, or --amp.'
    return f'{type(error).__name__}: {text} ({place}; --traceback shows the way there)'


def _own_message(error: Exception) -> str | None:
    """Messages of imbdense's own exception classes, which already say everything."""
    if type(error).__name__ == 'SampleError':
        # From a worker process the text holds a traceback; the message proper comes last.
        return re.split(r'SampleError: ', str(error))[-1].strip()
    if type(error).__module__.startswith('imbdense.'):
        return str(error)
    if isinstance(error, KeyError) and 'imbdense has no' in str(error):
        return str(error.args[0])
    return None


def _raised_by_us(error: Exception) -> bool:
    """Whether a line ``raise ...`` of imbdense raised it, whose text says what to do; not a call that failed there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = bool(frames) and Path(frames[-1].filename).is_relative_to(Path(__file__).parents[1])
    return ours and (frames[-1].line or '').startswith('raise ')


def _unknown_type(match: re.Match[str], error: Exception, config_path: str) -> str:
    """A ``type=`` that no registry knows, with near names of that registry and of ours."""
    name, registry_name = match[1].strip('\'"'), (match[3] or match[2])
    known = _registered(registry_name)
    near = difflib.get_close_matches(name.rsplit('.', 1)[-1], known, n=3, cutoff=0.6)
    shown = [f'{scope}.{word}' for word in near for scope in known[word]][:3]
    hint = f' Did you mean {" or ".join(shown)}?' if near else ' Is the package that defines it in custom_imports?'
    return f"{config_path}: type='{name}' is not a known {registry_name}.{hint}"


def _unknown_argument(match: re.Match[str], error: Exception, config_path: str) -> str:
    """An argument a constructor does not have, with the near ones it has."""
    owner = _built(error) or (found[1] if (found := re.search(r'(\w+)\.__init__\(\)', str(error))) else '')
    known = _constructor_arguments(error, owner)
    near = difflib.get_close_matches(match[1], known, n=2, cutoff=0.5)
    hint = f' Did you mean {" or ".join(near)}?' if near else f' It takes: {", ".join(known)}.' if known else ''
    return f"{config_path}: {owner or 'a component'} has no argument '{match[1]}'.{hint}"


def _built(error: Exception) -> str:
    """The class that a registry was building, where its constructor is that of a private base class; else ''."""
    if not re.search(r'\b_\w+\.__init__\(\)', str(error)):
        return ''
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((str(names['obj_cls'].__name__) for names in reversed(frames) if 'obj_cls' in names), '')


def _missing_argument(match: re.Match[str], error: Exception, config_path: str) -> str:
    """An argument the config must give."""
    owner = re.search(r'([\w.]+)\(\)', str(error))
    name = owner[1].removesuffix('.__init__') if owner else 'a component'
    return f'{config_path}: {name} needs the argument {match[1]} ({_place(error)}).'


def _wrong_channels(match: re.Match[str], error: Exception, config_path: str) -> str:
    """A first layer of another width than the images."""
    return (f'{config_path}: a layer of the model takes {match[1]} channels, but gets {match[2]}. Set in_channels of '
            f'the backbone to the bands of an image (of all dates where they are stacked), or read other bands '
            f'({_place(error)}; --traceback shows the way there).')


def _registered(kind: str) -> dict[str, list[str]]:
    """Names of the registries called ``kind`` -> the scopes that have them, ours first."""
    import mmengine.registry as host

    from imbdense.registry import REGISTRIES

    names: dict[str, list[str]] = {}
    if (ours := REGISTRIES.get(kind)) is not None:
        ours.import_from_location()
        names = {name: ['imbdense'] for name in ours.module_dict}
    stack = [value for value in vars(host).values() if isinstance(value, host.Registry) and value.name == kind]
    while stack:
        registry = stack.pop()
        stack += list(registry.children.values())
        for name in registry.module_dict:
            scopes = names.setdefault(name, [])
            scopes += [registry.scope] if registry.scope not in scopes else []
    return names


def _constructor_arguments(error: Exception, owner: str) -> list[str]:
    """The argument names of the class ``owner``, looked up through the registries."""
    import inspect

    import mmengine.registry as host

    from imbdense.registry import REGISTRIES

    for value in (*vars(host).values(), *REGISTRIES.values()):
        if not isinstance(value, host.Registry):
            continue
        stack = [value]
        while stack:
            registry = stack.pop()
            stack += list(registry.children.values())
            if inspect.isclass(registry.module_dict.get(owner)):
                names = inspect.signature(registry.module_dict[owner].__init__).parameters.values()
                return [p.name for p in names if p.name != 'self' and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return []


def _place(error: Exception) -> str:
    """File and line of the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    return f'{Path(frames[-1].filename).name}:{frames[-1].lineno}' if frames else 'no frame'

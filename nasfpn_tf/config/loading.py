# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Finds configuration files, reads YAML, and parses the overrides of all commands.

Nothing here imports TensorFlow or interprets the keys: `experiment` does so for training, `nasfpn_tf.search.config` for
searches.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from nasfpn_tf.config import checking, safe_yaml

PARAMS_FILE = 'params.yaml'  # Written by training beside its checkpoints: the whole experiment.

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# In a wheel the configs are inside the package; in a checkout they are beside it.
_CONFIG_DIRS = (_PACKAGE / 'configs', _PACKAGE.parent / 'configs')
_SEARCHES = 'search'

_KEY = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^']|'')*'", re.DOTALL)


def find_config(reference: str) -> pathlib.Path:
  """Finds the YAML file of a training or a model.

  Args:
    reference: path of a YAML file, a directory with a params.yaml (what training writes), or the name of a file in
      configs/, with or without '.yaml'.

  Raises:
    FileNotFoundError: if it is none of these; the message lists the nearest names.
  """
  path = pathlib.Path(reference)
  if path.is_file():
    return path
  if (path / PARAMS_FILE).is_file():
    return path / PARAMS_FILE
  if path.is_dir():
    raise FileNotFoundError(f'{reference}: the directory has no {PARAMS_FILE}; is it the model_dir of a training?')
  return _named(reference, config_names(), 'not a file, a model_dir or a name in configs/')


def find_search_config(reference: str) -> pathlib.Path:
  """Finds the YAML file of a search: a path, or the name of a file in configs/search/, with or without '.yaml'.

  Raises:
    FileNotFoundError: if it is neither; the message lists the nearest names.
  """
  path = pathlib.Path(reference)
  return (
    path if path.is_file() else _named(reference, search_config_names(), 'neither a file nor a name in configs/search/')
  )


def config_names() -> dict[str, pathlib.Path]:
  """Lists {name: path} of the configurations that come with the project; searches are another kind of file."""
  found = {}
  for directory in _CONFIG_DIRS:
    for path in sorted(directory.rglob('*.yaml')):
      if path.parent.name != _SEARCHES:
        found.setdefault(path.relative_to(directory).with_suffix('').as_posix(), path)
  return found


def search_config_names() -> dict[str, pathlib.Path]:
  """Lists {name: path} of the search configurations that come with the project."""
  return {path.stem: path for directory in _CONFIG_DIRS for path in sorted((directory / _SEARCHES).glob('*.yaml'))}


def read_yaml(path: str | pathlib.Path) -> dict[str, Any]:
  """Reads the mapping in a YAML file; one of nothing but comments gives an empty mapping.

  Raises:
    ValueError: the file is empty, as a full disk leaves it, not YAML as of `safe_yaml.load`, or not a mapping; the
      message names the file and the line.
    FileNotFoundError: the file cannot be read.
  """
  try:
    text = pathlib.Path(path).read_text(encoding='utf-8')
    data = safe_yaml.load(text)
  except OSError as e:
    raise FileNotFoundError(f'{path} cannot be read: {e.strerror or e}.') from e
  except UnicodeDecodeError as e:
    raise ValueError(f'{path} is not UTF-8 text (byte {e.start}); save it as UTF-8.') from e
  except yaml.YAMLError as e:
    raise ValueError(f'{path} is not YAML: {" ".join(str(e).split())}') from e
  if not text.strip():
    raise ValueError(f'{path}: the file is empty; a configuration that changes nothing is a comment.')
  if data is None:
    return {}
  if not isinstance(data, dict):
    raise ValueError(f'{path}: a mapping of keys is needed at the top, not {data!r}.')
  return data


def parse_override(text: str) -> dict[str, Any]:
  """Reads 'task.model.num_classes=4,trainer.train_steps=100', a YAML or JSON mapping, or the path of a YAML file.

  Values of the first form are YAML: a list in brackets, text with a comma in quotes, a mapping in braces. What cannot
  begin a YAML value is text, such as '*.tfrecord'.

  Returns:
    {key: value}; keys may be dotted.

  Raises:
    ValueError: the text cannot be parsed; the message quotes the part.
  """
  text = text.strip()
  if text.endswith(('.yaml', '.yml')) and '=' not in text and '\n' not in text:
    return read_yaml(find_config(text))
  if text.startswith('{') or ('\n' in text and '=' not in text.splitlines()[0]):
    data = _parse_value(text, text)
    if not isinstance(data, dict):
      raise ValueError(f'params_override: must be a mapping, not {text!r}.')
    return data
  result = {}
  for part in filter(None, map(str.strip, _split(text))):
    key, equals, value = part.partition('=')
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
      raise ValueError(f'params_override: {part!r} is not of the form key.of.field=value.')
    if key in result:
      raise ValueError(f'params_override: {key!r} is given twice.')
    if key.count('.') >= safe_yaml.MAX_DEPTH:
      raise ValueError(f'params_override: a key is nested deeper than {safe_yaml.MAX_DEPTH} levels: {key!r}.')
    result[key] = _parse_value(value.strip(), part)
  return result


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Converts dotted keys, as in overrides, to nested mappings, as in YAML files.

  Raises:
    ValueError: a key is given twice; the message names it.
  """
  result: dict[str, Any] = {}
  for key, value in flat.items():
    value = nested(value) if isinstance(value, Mapping) else value
    for name in reversed(str(key).split('.')):
      value = {name: value}
    _merge(result, value, '')
  return result


def _named(reference: str, names: Mapping[str, pathlib.Path], otherwise: str) -> pathlib.Path:
  name, path = reference.removesuffix('.yaml'), pathlib.Path(reference)
  if name not in names:
    is_path = path.suffix and path.parent != pathlib.Path('.')
    raise FileNotFoundError(f'{reference!r} is {otherwise}{"." if is_path else f"; {checking.nearest(name, names)}"}')
  return names[name]


def _parse_value(text: str, part: str) -> Any:
  try:
    return safe_yaml.load(text)
  except yaml.YAMLError as e:
    if text[:1] in '[{\'"' or isinstance(e, yaml.constructor.ConstructorError):
      raise ValueError(f'params_override: {part!r} is not understood: {" ".join(str(e).split())}') from e
    return text  # A path or a pattern, such as '*.tfrecord'.


def _split(text: str) -> Iterator[str]:
  """Splits at commas outside of quotes and brackets."""
  depth, start, i = 0, 0, 0
  at_value = False  # A quote counts only at the beginning of a value: not in don't.
  while i < len(text):
    quoted = _QUOTED.match(text, i) if at_value else None
    if quoted:
      i, at_value = quoted.end(), False
      continue
    c = text[i]
    if c in '[{':
      depth += 1
    elif c in ']}':
      depth = max(depth - 1, 0)
    elif c == ',' and depth == 0:
      yield text[start:i]
      start = i + 1
    at_value = c in '=,:[{' or (at_value and c.isspace())
    i += 1
  if depth and ',' in text[start:]:
    raise ValueError(f'params_override: {text[start:]!r} is not understood: a bracket is not closed.')
  yield text[start:]


def _merge(into: dict[str, Any], other: dict[str, Any], where: str) -> None:
  for key, value in other.items():
    path = f'{where}.{key}' if where else key
    if key not in into:
      into[key] = value
    elif isinstance(into[key], dict) and isinstance(value, dict):
      _merge(into[key], value, path)
    else:
      raise ValueError(f'params_override: {path!r} is given twice.')

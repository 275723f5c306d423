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

"""Configuration files and overrides: finding files, reading YAML, and the one form of overrides of all commands.

Nothing here needs TensorFlow, or knows what the keys mean: `experiment` does, and `nasfpn_tf.search.config`.
"""

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from nasfpn_tf.config import checking

PARAMS_FILE = 'params.yaml'  # What training writes beside its checkpoints: the whole experiment.

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# In a wheel the configs travel inside the package; in a checkout they lie beside it.
_CONFIG_DIRS = (_PACKAGE / 'configs', _PACKAGE.parent / 'configs')


def find_config(reference: str) -> pathlib.Path:
  """The YAML file that `reference` means.

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
  names = config_names()
  name = reference.removesuffix('.yaml')
  if name not in names:
    hint = '' if path.suffix and path.parent != pathlib.Path('.') else f' {checking.nearest(name, names)}'
    raise FileNotFoundError(f'{reference!r} is no file, no model_dir and no name in configs/.{hint}')
  return names[name]


def config_names() -> dict[str, pathlib.Path]:
  """{name: path} of the configurations that come with the project; those of searches are another kind of file."""
  found = {}
  for directory in _CONFIG_DIRS:
    for path in sorted(directory.rglob('*.yaml')):
      if path.parent.name == 'search':
        continue
      found.setdefault(path.relative_to(directory).with_suffix('').as_posix(), path)
  return found


def read_yaml(path: str | pathlib.Path) -> dict[str, Any]:
  """A YAML file's mapping; a ValueError names the file and the line where it is wrong or has a key twice."""
  try:
    data = yaml.load(pathlib.Path(path).read_text(encoding='utf-8'), Loader=_Loader)
  except OSError as e:
    raise FileNotFoundError(f'{path} cannot be read: {e.strerror or e}.') from e
  except (yaml.YAMLError, UnicodeDecodeError) as e:
    raise ValueError(f'{path} is not YAML: {" ".join(str(e).split())}') from e
  if data is None:
    return {}
  if not isinstance(data, dict):
    raise ValueError(f'{path}: a mapping of keys is needed at the top, not {data!r}.')
  return data


def parse_override(text: str) -> dict[str, Any]:
  """Reads 'task.model.num_classes=4,trainer.train_steps=100', a YAML or JSON mapping, or the path of a YAML file.

  Values of the first form are YAML: a list in brackets, text with a comma in quotes. A mapping in braces is allowed.

  Raises:
    ValueError: quoting the part that is not understood.
  """
  text = text.strip()
  if text.endswith(('.yaml', '.yml')) and '=' not in text and '\n' not in text:
    return read_yaml(find_config(text))
  if text.startswith('{') or ('\n' in text and '=' not in text.splitlines()[0]):
    data = _parse_value(text, text)
    if not isinstance(data, dict):
      raise ValueError(f'params_override: a mapping is needed, not {text!r}.')
    return data
  result = {}
  for part in filter(None, map(str.strip, _split(text))):
    key, equals, value = part.partition('=')
    if not equals or not re.fullmatch(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*', key.strip()):
      raise ValueError(f'params_override: {part!r} is not of the form key.of.field=value.')
    if key.strip() in result:
      raise ValueError(f'params_override: {key.strip()!r} is given twice.')
    result[key.strip()] = _parse_value(value.strip(), part)
  return result


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Dotted keys, as overrides have them, as nested mappings, as YAML files have them."""
  result: dict[str, Any] = {}
  for key, value in flat.items():
    *path, last = str(key).split('.')
    value = nested(value) if isinstance(value, Mapping) else value
    for name in reversed([*path, last]):
      value = {name: value}
    _merge(result, value, '')
  return result


class _Loader(yaml.SafeLoader):
  """Safe YAML that reads 1e-4 as a number and refuses a key given twice."""

  def construct_mapping(self, node, deep=False):
    seen = set()
    for key, _ in node.value:
      if key.value in seen:
        raise yaml.constructor.ConstructorError(None, None, f'key {key.value!r} is given twice', key.start_mark)
      seen.add(key.value)
    return super().construct_mapping(node, deep)


# Model Garden writes tuples with a tag that safe YAML does not know.
_Loader.add_constructor('tag:yaml.org,2002:python/tuple', lambda loader, node: loader.construct_sequence(node))
_Loader.add_implicit_resolver(
  'tag:yaml.org,2002:float',
  re.compile(r'^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$'),
  list('-+0123456789.'),
)


def _parse_value(text: str, part: str) -> Any:
  try:
    return yaml.load(text, Loader=_Loader)
  except yaml.YAMLError as e:
    if text[:1] in '[{\'"':
      raise ValueError(f'params_override: {part!r} is not understood: {" ".join(str(e).split())}') from e
    return text  # A path or a pattern, such as '*.tfrecord'.


def _split(text: str) -> Iterator[str]:
  """Splits at the commas that are not inside quotes or brackets."""
  depth, quote, start = 0, '', 0
  for i, c in enumerate(text):
    if quote:
      quote = '' if c == quote else quote
    elif c in '\'"':
      quote = c
    elif c in '[{':
      depth += 1
    elif c in ']}':
      depth -= 1
    elif c == ',' and depth == 0:
      yield text[start:i]
      start = i + 1
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

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

"""Checks the values of a configuration against the declared types of its fields."""

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

from nasfpn_tf.spelling import nearest

__all__ = ['check', 'mismatch', 'nearest']


def check(params: Any, where: str = '') -> None:
  """Checks every value of a configuration against the declared type of its field, which Model Garden does not.

  Args:
    params: the configuration.
    where: dotted path of `params` in its experiment, for the message.

  Raises:
    ValueError: a value has a wrong type; the message names the key, the value and the type.
  """
  for problem in _type_problems(params, where):
    raise ValueError(problem)


def _type_problems(params: Any, where: str) -> Iterator[str]:
  annotations = _annotations(params)
  for name in annotations:
    value = getattr(params, name)
    key = f'{where}.{name}' if where else name
    if found := mismatch(value, annotations[name]):
      yield f'{key} {found}'
    elif dataclasses.is_dataclass(value):
      yield from _type_problems(value, key)
    elif isinstance(value, list | tuple):
      for i, element in enumerate(value):
        if dataclasses.is_dataclass(element):
          yield from _type_problems(element, f'{key}[{i}]')
  if _is_one_of(params):
    choices = [name for name in annotations if name != 'type']
    if params.type is not None and params.type not in choices:
      key = f'{where}.type' if where else 'type'
      yield f'{key} {params.type!r} is unknown; {nearest(params.type, choices)}'


def mismatch(value: Any, annotation: Any) -> str:
  """Compares a value with a declared type; returns '' if it fits, else 'must be ..., not ...', to put behind a key."""
  return '' if _fits(value, annotation) else f'must be {_describe(annotation)}, not {value!r}.'


def _annotations(params: Any) -> dict[str, Any]:
  """Returns {name: type} of the fields of `params`."""
  # Model Garden's annotations include `add_backbone` and exclude fields that hold no values, such as `restrictions`.
  of_model_garden = getattr(params, '_get_annotations', None)
  found = of_model_garden() if of_model_garden else typing.get_type_hints(type(params))
  return {name: annotation for name, annotation in found.items() if name in vars(params)}


def _is_one_of(params: Any) -> bool:
  """Tells whether `type` selects a section; checked by class name, since Model Garden's class imports TensorFlow."""
  return any(base.__name__ == 'OneOfConfig' for base in type(params).__mro__)


def _fits(value: Any, annotation: Any) -> bool:
  """Tells whether `value` has the declared type; every value fits a declaration without a definite type."""
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if origin in (typing.Union, types.UnionType):
    return any(_fits(value, argument) for argument in arguments)
  if origin in (list, tuple) or annotation in (list, tuple) or getattr(origin, '__name__', '') == 'Sequence':
    # Model Garden stores a list where an override sets a tuple.
    if not isinstance(value, list | tuple):
      return False
    if _is_fixed(annotation):
      return len(value) == len(arguments) and all(map(_fits, value, arguments))
    return not arguments or all(_fits(v, arguments[0]) for v in value)
  if annotation is type(None):
    return value is None
  if origin in (dict, collections.abc.Mapping):
    if not isinstance(value, collections.abc.Mapping):
      return hasattr(value, 'as_dict')  # Model Garden makes a mapping a configuration.
    return all(_fits(inner, arguments[1]) for inner in value.values())
  if not isinstance(annotation, type) or origin is not None:
    return True
  if annotation in (int, float) and isinstance(value, bool):
    return False
  if annotation is float:
    return isinstance(value, int | float)
  if annotation in (int, bool, str):
    return isinstance(value, annotation)
  if dataclasses.is_dataclass(annotation):
    return dataclasses.is_dataclass(value)
  return True


def _is_fixed(annotation: Any) -> bool:
  """Tells whether a type is a tuple of so many elements, such as `tuple[int, int]`."""
  arguments = typing.get_args(annotation)
  return typing.get_origin(annotation) is tuple and bool(arguments) and arguments[-1] is not Ellipsis


def _describe(annotation: Any) -> str:
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  names = {int: 'an integer', float: 'a number', bool: 'true or false', str: 'a string', type(None): 'null'}
  if annotation in names:
    return names[annotation]
  if origin in (typing.Union, types.UnionType):
    return ' or '.join(_describe(argument) for argument in arguments)
  if origin in (dict, collections.abc.Mapping):
    return 'a mapping' if arguments[1] is Any else f'a mapping, each value {_describe(arguments[1])}'
  if _is_fixed(annotation):
    return f'a list of {len(arguments)}: {", ".join(map(_describe, arguments))}'
  if dataclasses.is_dataclass(annotation):
    return f'a section with keys of {annotation.__name__}'
  return f'a list, each element {_describe(arguments[0])}' if arguments else 'a list'

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

"""Defines an augmentation: an operation with a name and settings, and the table of all operations.

A new operation is one module of this package: a frozen dataclass, its fields the settings, under `@register`.
"""

import abc
import ast
import dataclasses
import importlib
import pkgutil
from typing import ClassVar, TypeVar

import tensorflow as tf

from nasfpn_tf import spelling
from nasfpn_tf.data.input import augment

_OPERATIONS: dict[str, type['Operation']] = {}


class Operation(abc.ABC):
  """Changes an image at random, and its boxes along with it.

  Attributes:
    name: what configurations call it.
    before_scaling: works on the image as it was stored, uint8 in its own size; otherwise on what the network will see,
      float32 of 0..255, which is most often smaller and so cheaper.
    shares_seed: is handed the seed of the image itself; otherwise each place in the list has a seed of its own.
  """

  name: ClassVar[str]
  before_scaling: ClassVar[bool] = False
  shares_seed: ClassVar[bool] = False

  @abc.abstractmethod
  def __call__(self, image: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Augments one image.

    Args:
      image: `[height, width, 3]`, see `before_scaling`.
      boxes: float32 `[num_boxes, 4]`, yxyx, 0..1 of the image.
      seed: integers `[2]`; the only source of randomness.

    Returns:
      The image, of the same type, and as many boxes in the same order; a box of which nothing is left is empty. After
      scaling the image must not grow.
    """


OperationType = TypeVar('OperationType', bound=type[Operation])


def register(operation: OperationType) -> OperationType:
  """Enters an operation in the table, as a decorator; a ValueError where its name is taken by another one."""
  known = _OPERATIONS.setdefault(operation.name, operation)
  if (known.__module__, known.__qualname__) != (operation.__module__, operation.__qualname__):
    raise ValueError(f'two augmentations are called {operation.name!r}: {known.__module__}, {operation.__module__}')
  return operation


def names() -> list[str]:
  """Returns the names of all operations, those of every module of this package."""
  for module in pkgutil.iter_modules(augment.__path__):
    importlib.import_module(f'{augment.__name__}.{module.name}')
  return sorted(_OPERATIONS)


def parse(text: str) -> Operation:
  """Makes an operation from text such as 'vertical_flip' or 'color(strength=0.4)'.

  Raises:
    ValueError: the text is of another form, the operation or a setting is unknown, or a setting has an unusable value.
  """
  try:
    call = ast.parse(text.strip(), mode='eval').body
    function, keywords = (call.func, call.keywords) if isinstance(call, ast.Call) and not call.args else (call, [])
    name = function.id
    settings = {keyword.arg: ast.literal_eval(keyword.value) for keyword in keywords}
  except (SyntaxError, ValueError, AttributeError, TypeError, MemoryError, RecursionError) as error:
    raise ValueError(f"augmentation {text!r}: must be 'name' or 'name(setting=value, ...)'") from error
  if name not in names():
    raise ValueError(f'augmentation {name!r} is unknown; {spelling.nearest(name, names())}')
  known = [field.name for field in dataclasses.fields(_OPERATIONS[name])]
  for setting in settings:
    if setting not in known:
      raise ValueError(f'augmentation {name!r} has no setting {setting!r}; it has {", ".join(known) or "none"}')
  try:
    return _OPERATIONS[name](**settings)
  except (TypeError, ValueError) as error:
    raise ValueError(f'augmentation {text!r}: {error}') from error


def shared_draw(seed: tf.Tensor, index: int) -> tf.Tensor:
  """Returns one of the eight numbers in 0..1 that the operations with an `aug_...` key share for an image.

  They stand for: the scale, the crop window (2), the horizontal flip, the vertical flip, and the color (3).
  """
  return tf.random.stateless_uniform([8], seed)[index]

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

"""Runs the signatures of a .tflite, from any thread and in forked processes."""

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from nasfpn_tf import processor

_RUNNERS = weakref.WeakSet()
_ABANDONED = []


class TFLiteRunner:
  """Runs a .tflite in LiteRT by the names of its signatures.

  Safe to share between threads: an interpreter has one set of tensors, so calls are serialized. Safe after a fork: the
  child creates its own interpreter at its first call, because the parent's threads do not exist there.
  """

  def __init__(self, path: str, num_threads: int | None = None):
    """Loads a file.

    Args:
      path: path of the .tflite.
      num_threads: threads of LiteRT; None uses one per processor.

    Raises:
      ValueError: LiteRT cannot load it.
    """
    self._path, self._num_threads = path, num_threads or processor.num_cores()
    self._lock = threading.Lock()
    self._signatures = {}
    self._interpreter = None
    self._load()
    _RUNNERS.add(self)

  def run(self, key: str | None = None, /, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a signature (None: the only one); returns copies of its outputs by name, still quantized where they are."""
    with self._lock:
      return self._signature(key)(**inputs)

  def input_details(self, key: str | None = None) -> dict[str, dict[str, Any]]:
    """Returns LiteRT's description of each input of a signature.

    Raises:
      ValueError: there is no such signature.
    """
    with self._lock:
      return self._signature(key).get_input_details()

  def output_details(self, key: str | None = None) -> dict[str, dict[str, Any]]:
    """Returns LiteRT's description of each output of a signature.

    Raises:
      ValueError: there is no such signature.
    """
    with self._lock:
      return self._signature(key).get_output_details()

  def _signature(self, key: str | None) -> Any:
    if self._interpreter is None:
      self._load()
    # Creating an interpreter takes longer than running a small network.
    if key not in self._signatures:
      self._signatures[key] = self._interpreter.get_signature_runner(key)
    return self._signatures[key]

  def _load(self) -> None:
    # The import is slow and prints; only this format needs it.
    from ai_edge_litert import interpreter

    try:
      self._interpreter = interpreter.Interpreter(model_path=self._path, num_threads=self._num_threads)
    except (ValueError, RuntimeError) as error:
      raise ValueError(f'{self._path}: LiteRT cannot load it: {error}') from error

  def _after_fork(self) -> None:
    # Deleting the interpreter would stop threads that exist only in the parent, which crashes.
    _ABANDONED.append((self._interpreter, self._signatures))
    self._lock, self._interpreter, self._signatures = threading.Lock(), None, {}


def to_real(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
  """Dequantizes an output by the quantization in LiteRT's `detail` of it; floats stay as they are."""
  scale, zero_point = detail['quantization']
  return (value.astype(np.float32) - zero_point) * np.float32(scale) if scale else value


def describe(details: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Describes the inputs or outputs of a signature for the JSON file: name, shape and dtype of each."""
  return [
    {'name': name, 'shape': [int(side) for side in detail['shape']], 'dtype': detail['dtype'].__name__}
    for name, detail in details.items()
  ]


def _after_fork() -> None:
  for runner in list(_RUNNERS):
    runner._after_fork()


if hasattr(os, 'register_at_fork'):
  os.register_at_fork(after_in_child=_after_fork)

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

"""Settings for every test: Keras 2 before TensorFlow loads, two threads, quiet logs, the same random numbers."""

import gc
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
# XLA's programs run a few times here, so LLVM need not make them fast; what XLA itself does with them stays.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true')

import pytest

import nasfpn_tf  # noqa: F401  (sets TF_USE_LEGACY_KERAS)

# Where tests train and export. Handed out first, these long files do not leave one process waiting for another at the
# end; the very first one makes what most exports are tested with (tests/export/forms.py) while others do without it.
_LONG = ('export/tflite_test.py', 'training/', 'public_weights/', 'search/', 'modeling/', 'export/', 'artifacts/')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Puts long files first."""
  root = pathlib.Path(__file__).parent

  def place(item: pytest.Item) -> int:
    path = item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else ''
    return next((i for i, prefix in enumerate(_LONG) if path.startswith(prefix)), len(_LONG))

  items.sort(key=place)


def pytest_collection_finish() -> None:
  """Starts the server of `tests.commands` where it is used, and keeps what is imported by now, a million objects of
  TensorFlow, out of every garbage collection."""
  if 'tests.commands' in sys.modules:
    sys.modules['tests.commands'].start_server()
  gc.collect()
  gc.freeze()
  # A traced graph is some 100,000 objects: by default all of them are looked through again every 70,000 objects or so.
  gc.set_threshold(10_000, 10, 5)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
  """Seeds each test before its fixtures: some starts of a narrow layer (here one in 60) have only dead units."""
  if 'tensorflow' in sys.modules:
    import tf_keras

    tf_keras.utils.set_random_seed(0)

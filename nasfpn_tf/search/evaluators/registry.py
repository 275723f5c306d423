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

"""Finds the evaluator that a configuration names."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable

from nasfpn_tf.search import spaces
from nasfpn_tf.search.evaluators.evaluator import Evaluator, Setup
from nasfpn_tf.search.problems import SearchError
from nasfpn_tf.search.trial import Measurement, Trial

NAMES = {'proxy': 'nasfpn_tf.search.evaluators.proxy:evaluate', 'shared': 'nasfpn_tf.search.evaluators.shared:evaluate'}


def check(name: str) -> None:
  """Raises a `SearchError` if no such module exists, without loading it, so that no worker is started for it."""
  module, _ = _parts(name)
  try:
    found = importlib.util.find_spec(module)
  except ImportError:
    found = None
  if found is None:
    raise SearchError(f'evaluator {name!r}: there is no module {module!r} on the Python path.')


def load(name: str) -> Evaluator:
  """Loads the function of a name in `NAMES` or of 'module:function'; a `SearchError` names what is missing."""
  module, function = _parts(name)
  try:
    return getattr(importlib.import_module(module), function)
  except ImportError as e:
    raise SearchError(f'evaluator {name!r}: module {module!r} cannot be loaded: {e}.') from e
  except AttributeError as e:
    raise SearchError(f'evaluator {name!r}: {module!r} has no {function!r}.') from e


def prepare(setup: Setup) -> Callable[[Trial, str], Measurement]:
  """Loads an evaluator and binds the arguments that all trials share; the result takes a trial and its directory.

  Raises:
    SearchError: the evaluator or the space cannot be loaded.
  """
  function = load(setup.evaluator)
  try:
    takes_space = 'space' in inspect.signature(function).parameters
  except (TypeError, ValueError):  # A builtin does not tell its parameters.
    takes_space = False
  options = {'space': spaces.build(setup.space)} if takes_space else {}
  return lambda trial, work_dir: function(trial, work_dir, setup.config, **options)


def _parts(name: str) -> tuple[str, str]:
  module, colon, function = NAMES.get(name, name).partition(':')
  if not (module and colon and function):
    raise SearchError(f'evaluator {name!r}: {", ".join(NAMES)} or module:function is expected.')
  return module, function

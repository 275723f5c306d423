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

"""What a run may fail of without being at fault itself, and one line that says so."""

import re

import tensorflow as tf

from nasfpn_tf.training.nonfinite import NonFiniteLossError

# Wrong parameters or files, records that cannot be read, a loss that is no number.
EXPECTED = (ValueError, OSError, NonFiniteLossError, tf.errors.OpError)

# What TensorFlow and gin add to a message: the graph's nodes, the call that failed inside of which.
_ADDED = re.compile(r'\n\s*\[\[|\n\s*In call to configurable|\n\nOriginal stack trace|\[Op:|\nDetected at node')


def message(error: Exception) -> str:
  """The message of `error` without what the machinery around it has added, on one line."""
  text = error.message if isinstance(error, tf.errors.OpError) else str(error)
  text = re.sub(r'^Graph execution error:\s*', '', text)
  if text.startswith('Detected at node'):
    # The node's definition and stack come first, the cause after them.
    text = text.rsplit('\n\n', 1)[-1] if '\n\n' in text else text
  text = ' '.join(_ADDED.split(text, maxsplit=1)[0].split())
  return text or type(error).__name__

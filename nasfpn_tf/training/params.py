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

"""Reads experiments, with those of this project registered.

Example:
  params = load_params(config_files='r50_nasfpn_7x256_640', params_override='task.model.num_classes=4')

`nasfpn_tf.config` does the reading, and knows no experiment: it stands below the tasks and recipes that experiments are
made of. What it has for files and overrides has its names here, too.
"""

from nasfpn_tf.config.experiment import DEFAULT_EXPERIMENT, load_params
from nasfpn_tf.config.loading import config_names, find_config, nested, parse_override, read_yaml
from nasfpn_tf.training import experiments  # noqa: F401  (registers the experiments)

__all__ = [
  'DEFAULT_EXPERIMENT',
  'config_names',
  'find_config',
  'load_params',
  'nested',
  'parse_override',
  'read_yaml',
]

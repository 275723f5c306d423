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

"""A training of another length: the schedule with it."""

from typing import Any


def shortened(trainer: Any, steps: int) -> dict[str, Any]:
  """Overrides of an experiment that make it train `steps`, its schedule scaled, and evaluate once, at the end.

  Args:
    trainer: the section `trainer` of the experiment.
    steps: how many, fewer or more than it has.
  """
  changed = {'train_steps': steps, 'validation_interval': steps}
  for name in ('steps_per_loop', 'summary_interval', 'checkpoint_interval'):
    changed[name] = max(1, min(getattr(trainer, name), steps))
  factor = steps / trainer.train_steps
  groups = {}
  for group in ('learning_rate', 'warmup'):
    kind = getattr(trainer.optimizer_config, group).type
    options = getattr(trainer.optimizer_config, group).get() if kind else None
    scaled = {
      name: [round(factor * step) for step in value] if isinstance(value, list | tuple) else round(factor * value)
      for name in ('decay_steps', 'warmup_steps', 'boundaries')
      if (value := getattr(options, name, None))
    }
    if scaled:
      groups[group] = {kind: scaled}
  return {'trainer': {**changed, **({'optimizer_config': groups} if groups else {})}}

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

"""Writes configurations that train the results of a search: `best.yaml`, and `pareto.json` with one for each point."""

import glob
import json
import os
from collections.abc import Mapping
from typing import Any

import yaml

from nasfpn_tf.config import loading
from nasfpn_tf.search import space as space_lib
from nasfpn_tf.search import summary
from nasfpn_tf.search.storage.directory import SearchDirectory
from nasfpn_tf.search.trial import FAILED, Measurement, Results, Trial


def write(
  directory: SearchDirectory, results: Results, evaluator: Mapping[str, Any], space: space_lib.SearchSpace
) -> None:
  """Writes the best trial, and those that no other dominates in cost and AP, the cheapest first.

  `train.py --config_file=SEARCH_DIR/pareto/000042.yaml` trains trial 42: the configuration that the children have in
  common, without the short training of `evaluator.params_override.trainer`, and the architecture. Where no cost is
  known there is no frontier.

  Args:
    directory: of the search.
    results: its finished trials.
    evaluator: the evaluator's part of the search configuration.
    space: what is searched.

  Raises:
    SearchError: a file cannot be written.
  """
  trials = {trial.id: (trial, measurement) for trial, measurement in results if measurement.status != FAILED}
  if trials:
    best, measurement = max(trials.values(), key=lambda result: (result[1].reward, -result[0].id))
    directory.write(directory.best_config, _yaml(best, measurement, training_of(evaluator, space, best.architecture)))
  points, written = [], set()
  for trial_id in summary.frontier(list(trials.values())):
    trial, measurement = trials[trial_id]
    path = os.path.join(directory.pareto, f'{trial_id:06d}.yaml')
    directory.write(path, _yaml(trial, measurement, training_of(evaluator, space, trial.architecture)))
    written.add(path)
    points.append(
      {
        'trial': trial_id,
        'ap': measurement.ap,
        'cost': measurement.cost,
        'reward': measurement.reward,
        'config_file': os.path.relpath(path, directory.path),
        'architecture': dict(trial.architecture),
      }
    )
  if points:
    cost = evaluator.get('cost', 'multiply_adds')
    directory.write(f'{directory.pareto}.json', json.dumps({'cost': cost, 'points': points}, indent=2) + '\n')
  for path in set(glob.glob(os.path.join(glob.escape(directory.pareto), '*.yaml'))) - written:
    os.remove(path)


def training_of(
  evaluator: Mapping[str, Any], space: space_lib.SearchSpace, architecture: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the configuration that trains an architecture in full, as `train.py` reads it.

  Args:
    evaluator: the evaluator's part of the search configuration: `config_file`, `params_override`, `experiment`,
      `architecture_key`.
    space: what the architecture is of.
    architecture: its JSON form.
  """
  files = evaluator.get('config_file', ())
  training = {'experiment': evaluator['experiment']} if 'experiment' in evaluator else {}
  for reference in [files] if isinstance(files, str) else files:
    training = overlaid(training, loading.read_yaml(loading.find_config(reference)))
  override = loading.nested(evaluator.get('params_override', {}))
  training = overlaid(training, {'task': override.get('task', {})})
  changes = space_lib.changes(architecture, evaluator.get('architecture_key', space.architecture_key))
  return overlaid(training, changes)


def overlaid(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
  """Returns `base` with `changes` over it, mapping by mapping; neither is changed."""
  result = dict(base)
  for key, value in changes.items():
    if isinstance(value, Mapping):
      known = result.get(key)
      value = overlaid(known if isinstance(known, Mapping) else {}, value)
    result[key] = value
  return result


def _yaml(trial: Trial, measurement: Measurement, training: Mapping[str, Any]) -> str:
  """Formats a training, with what the trial has reached in a comment."""
  ap = 'not measured' if measurement.ap is None else f'{measurement.ap:.4f}'
  cost = 'not measured' if measurement.cost is None else f'{measurement.cost:.6g}'
  head = f'# Trial {trial.id}: AP {ap}, cost {cost}, reward {measurement.reward:.4f}.\n'
  return head + yaml.safe_dump(dict(training), sort_keys=False, default_flow_style=None, width=116)

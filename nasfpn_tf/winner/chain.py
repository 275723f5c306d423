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

"""Defines the steps from records to an exported winner: warm-up training, search, training, exports."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import yaml

from nasfpn_tf import whole_file
from nasfpn_tf.chain import steps
from nasfpn_tf.config import checking, loading
from nasfpn_tf.fit import detector
from nasfpn_tf.fit.detector import script
from nasfpn_tf.search import config as config_lib
from nasfpn_tf.search import front, spaces
from nasfpn_tf.search.problems import SearchError


@dataclasses.dataclass(frozen=True)
class Request:
  """Holds the request of a user.

  Attributes:
    search_config: YAML file of a search, or a name in configs/search/.
    train: prefix or pattern of the records to train on.
    held_out: records that decide in the search.
    validation: records that the winner is evaluated on.
    params_override: changes to the search, as of `search.py`.
    warm_up_steps: steps of the training with FPN that the bank begins with; 0 begins with the recipe's own start.
    train_steps: of the winner; None: the recipe's.
  """

  search_config: str
  train: str
  held_out: str
  validation: str
  params_override: str = ''
  warm_up_steps: int = 600
  train_steps: int | None = None


# A smoke test runs every step on a few images; its numbers mean nothing.
SMOKE_STEPS, SMOKE_TRIALS = 4, 3
_SMOKE_TRAINER = {'steps_per_loop': 2, 'summary_interval': 2, 'checkpoint_interval': 4, 'validation_steps': 2}
_SMOKE = {
  'task': {
    'model': {'input_size': [128, 128, 3]},
    'train_data': {'global_batch_size': 2},
    'validation_data': {'global_batch_size': 2},
  },
  'trainer': _SMOKE_TRAINER,
}
_SMOKE_BANK = {'warm_up_steps': SMOKE_STEPS, 'steps_per_trial': 1, 'calibration_batches': 1}


class Winner:
  """Lays out the files of a search with its winner in one directory, and lists the steps that make them."""

  def __init__(self, request: Request, output_dir: pathlib.Path, smoke: bool = False):
    """Reads the search configuration; nothing is written.

    Raises:
      SearchError: the configuration cannot be used; the message names the key.
    """
    self.request, self.output_dir, self.smoke = request, output_dir, smoke
    self.warm_up = output_dir / 'warm_up'
    self.search_dir = output_dir / 'search'
    self.search_config = output_dir / 'search.yaml'
    self.model_dir = output_dir / 'model'
    self.saved_model = output_dir / 'saved_model'
    self.tflite = output_dir / 'detector_float.tflite'
    self._path = loading.find_search_config(request.search_config)
    self._config = self._read()
    name = self._config.evaluator['name']
    if name not in ('shared', 'proxy'):
      raise SearchError(f'{self._path}: evaluator {name!r} trains nothing; use shared or proxy.')

  def steps(self) -> list[steps.Step]:
    """Lists the steps of the chain, in order."""
    made = []
    if self._needs_warm_up:
      made.append(
        steps.Step(
          'warm_up',
          f'Train backbone and head with FPN for {self._warm_up_steps} steps',
          [self._warm_up_command()],
          outputs=[self.warm_up],
          summary=lambda: str(self.warm_up.name),
          continues=True,
        )
      )
    after = [step.name for step in made]
    made.append(
      steps.Step(
        'search',
        f'Search: {self._config.max_trials} trials in the space {self._config.space["name"]}',
        [script('search', search_config=self.search_config, search_dir=self.search_dir)],
        outputs=[self.search_dir],
        inputs=[self.search_config],
        after=after,
        summary=self._search_summary,
        continues=True,
      )
    )
    made.append(
      steps.Step(
        'train',
        'Train the winner',
        [
          script(
            'train',
            config_file=self.search_dir / 'best.yaml',
            params_override=json.dumps(self._training()),
            mode='train_and_eval',
            model_dir=self.model_dir,
            verbosity=-1,
          )
        ],
        outputs=[self.model_dir],
        after=['search'],
        summary=lambda: detector.accuracy(self.model_dir / 'eval.json'),
        continues=True,
      )
    )
    made.append(
      steps.Step(
        'saved_model',
        'Export a SavedModel for TensorFlow Serving',
        [script('export_saved_model', model=self.model_dir, export_dir=self.saved_model, version=1)],
        outputs=[self.saved_model],
        after=['train'],
        summary=lambda: detector.size(self.saved_model),
        quiet=True,
      )
    )
    made.append(
      steps.Step(
        'tflite',
        'Export TFLite, float',
        [script('export_tflite', saved_model_dir=self.saved_model / '1', tflite_path=self.tflite, quant_type='none')],
        outputs=[self.tflite],
        after=['saved_model'],
        summary=lambda: detector.size(self.tflite),
        quiet=True,
      )
    )
    return made

  def write_search_config(self) -> None:
    """Writes the search configuration with the records and the checkpoint of the request; paths are absolute."""
    config = self._config
    content = {
      **config.identity(spaces.build(config.space).to_json()),
      'max_trials': config.max_trials,
      'num_workers': config.num_workers,
      'executor': dict(config.executor),
    }
    self.output_dir.mkdir(parents=True, exist_ok=True)
    whole_file.write_text(self.search_config, yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False))

  def _start(self) -> dict[str, Any]:
    """Returns the changes to the children: their records, and the training that they begin with."""
    task = {
      'train_data': {'input_path': self.request.train},
      'validation_data': {'input_path': self.request.held_out},
    }
    if self._needs_warm_up:
      task |= {'init_checkpoint': str(self.warm_up), 'init_checkpoint_modules': ['backbone', 'head']}
    return {'task': task}

  @property
  def _warm_up_steps(self) -> int:
    return SMOKE_STEPS if self.smoke else self.request.warm_up_steps

  @property
  def _needs_warm_up(self) -> bool:
    """Tells whether the search begins with a training, as its configuration says, that is to be made here."""
    return self._warm_up_steps > 0 and 'init_checkpoint' in self._task

  def _read(self) -> config_lib.SearchConfig:
    """Reads the search configuration, with everything that the request changes."""
    config = config_lib.load(str(self._path), self.request.params_override)
    files, changes = config.evaluator.get('config_file', []), config.evaluator.get('params_override', {})
    if problem := checking.mismatch(files, str | list[str]):
      raise SearchError(f'{self._path}: evaluator.config_file {problem}')
    if problem := checking.mismatch(changes, Mapping[str, Any]):
      raise SearchError(f'{self._path}: evaluator.params_override {problem}')
    children = loading.nested(changes)
    self._task = children.get('task', {})
    if problem := checking.mismatch(self._task, Mapping[str, Any]):
      raise SearchError(f'{self._path}: evaluator.params_override.task {problem}')
    children = front.overlaid(children, self._start())
    if not self.smoke:
      return config.replace(evaluator={**config.evaluator, 'params_override': children})
    children = front.overlaid(children, _SMOKE)
    if config.evaluator['name'] == 'proxy':
      children = front.overlaid(children, {'trainer': _schedule(SMOKE_STEPS)})
    bank = _SMOKE_BANK if config.evaluator['name'] == 'shared' else {}
    return config.replace(evaluator={**config.evaluator, **bank, 'params_override': children}, max_trials=SMOKE_TRIALS)

  def _warm_up_command(self) -> list[str]:
    evaluator = self._config.evaluator
    override = front.overlaid(
      evaluator['params_override'],
      {
        'task': {'init_checkpoint': '', 'model': {'decoder': {'feature_pyramid': {'topology': 'fpn'}}}},
        'trainer': {**_schedule(self._warm_up_steps), 'checkpoint_interval': max(1, self._warm_up_steps // 2)},
      },
    )
    files = evaluator.get('config_file', [])
    return script(
      'train',
      config_file=[files] if isinstance(files, str) else list(files),
      params_override=json.dumps(override),
      mode='train',
      model_dir=self.warm_up,
      verbosity=-1,
    )

  def _training(self) -> dict[str, Any]:
    """Returns the changes to the winner's training, which begins as the recipe does and not with the bank's start."""
    changes = {'task': {'init_checkpoint': '', 'validation_data': {'input_path': self.request.validation}}}
    train_steps = SMOKE_STEPS if self.smoke else self.request.train_steps
    if train_steps:
      changes['trainer'] = {**_schedule(train_steps), 'validation_interval': train_steps}
    return front.overlaid(changes, {'trainer': _SMOKE_TRAINER} if self.smoke else {})

  def _search_summary(self) -> str:
    lines = (self.search_dir / 'trials.jsonl').read_text(encoding='utf-8').splitlines()
    best = max(json.loads(line)['measurement']['reward'] for line in lines)
    return f'{len(lines)} trials, best reward {best:.4f}: {detector.shown_path(self.search_dir / "report.html")}'


def run(winner: Winner, stream: TextIO | None = None) -> Sequence[steps.Result]:
  """Runs the chain, or resumes it.

  Raises:
    steps.StepError: a step failed; the next run goes on from it.
  """
  winner.write_search_config()
  return steps.Chain(winner.steps(), winner.output_dir, stream).run()


def _schedule(train_steps: int) -> dict[str, Any]:
  """Returns a training of so many steps, by the schedule of the project's recipes: cosine after a short warm-up."""
  return {
    'train_steps': train_steps,
    'optimizer_config': {
      'learning_rate': {'cosine': {'decay_steps': train_steps}},
      'warmup': {'linear': {'warmup_steps': max(1, train_steps // 30)}},
    },
  }

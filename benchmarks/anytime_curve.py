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

"""Compares the exits of one detector with detectors trained separately, one for each number of pyramids.

python -m benchmarks.anytime_curve --train=records/bccd_train,records/bccd_val --validation=records/bccd_test \
  --output_dir=runs/anytime_curve --seeds=0,1,2 --loss_weights=1,1,4

Trains the anytime detector of a configuration and one detector for each number of pyramids, with every seed, and
evaluates each once, at the last step, so nothing is selected on the validation records. Then it times all exits in
LiteRT. --loss_weights trains the anytime detector again with other weights of its exits; it may be given several times.
--pyramids stacks another number of pyramids than the configuration; --separate=1,3,7 trains only these separately.

Runs that have finished are skipped, one that was interrupted goes on, and records.json, table.md and curve.svg are
written anew after each: the same command continues, and later adds seeds or weights. Several may run at once.
"""

import dataclasses
import fcntl
import json
import pathlib
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from absl import app, flags

from benchmarks import anytime_costs, anytime_report
from nasfpn_tf import failure
from nasfpn_tf.chain import process
from nasfpn_tf.data.records import manifest
from nasfpn_tf.training import checkpoints, schedule
from nasfpn_tf.training import params as params_lib

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Run:
  """One training.

  Attributes:
    num_pyramids: how many are stacked.
    loss_weights: of the exits, () for equal ones; None: a detector with one exit.
    seed: of weights and data.
  """

  num_pyramids: int
  loss_weights: tuple[float, ...] | None
  seed: int

  @property
  def name(self) -> str:
    """The name of its directory."""
    if self.loss_weights is None:
      return f'separate_{self.num_pyramids}_seed{self.seed}'
    return f'anytime_{"-".join(f"{weight:g}" for weight in self.loss_weights) or "equal"}_seed{self.seed}'

  def override(self) -> dict[str, Any]:
    """Returns the changes to the configuration."""
    anytime = {'enabled': self.loss_weights is not None, 'loss_weights': list(self.loss_weights or ())}
    pyramids = {'feature_pyramid': {'num_repeats': self.num_pyramids}}
    return {'task': {'model': {'anytime': anytime, 'decoder': pyramids}, 'train_data': {'seed': self.seed}}}


def plan(
  num_pyramids: int, seeds: Sequence[int], weights: Sequence[tuple[float, ...]], separate: Sequence[int] = ()
) -> list[Run]:
  """Lists all runs, seed by seed, so that the finished ones can be compared at any time.

  Args:
    num_pyramids: exits of the anytime detector.
    seeds: a run of everything for each.
    weights: weights of the exits' losses besides equal ones.
    separate: numbers of pyramids that are also trained without exits; (): each up to `num_pyramids`.

  Raises:
    ValueError: there are no exits, weights that are not one for each, or a number of pyramids that is no exit.
  """
  if num_pyramids < 2:
    raise ValueError(f'the configuration has {num_pyramids} pyramid: exits need two or more.')
  for given in weights:
    if len(given) != num_pyramids or min(given) < 0 or not sum(given):
      raise ValueError(f'loss_weights {given}: {num_pyramids} are needed, none negative and not all 0.')
  exits = range(1, num_pyramids + 1)
  for stacked in separate:
    if stacked not in exits:
      raise ValueError(f'--separate={stacked}: the exits are 1 to {num_pyramids}.')
  runs = []
  for seed in dict.fromkeys(seeds):
    runs += [Run(num_pyramids, given, seed) for given in dict.fromkeys([(), *weights])]
    runs += [Run(stacked, None, seed) for stacked in sorted(set(separate)) or exits]
  return runs


class Curve:
  """Trains and evaluates the runs of a comparison in one directory."""

  def __init__(self, directory: str, settings: Mapping[str, Any], common: Mapping[str, Any]):
    """Takes the place.

    Args:
      directory: of everything.
      settings: `config_file` and `params_override` of every run.
      common: further overrides of every run, `trainer.train_steps` among them.
    """
    self._directory = pathlib.Path(directory).absolute()
    self._settings = settings
    self._common = common

  def path(self, run: Run) -> pathlib.Path:
    """Returns the model_dir of the run."""
    return self._directory / run.name

  def result(self, run: Run) -> dict[str, float] | None:
    """Returns the metrics at the last step, or None if the run has not finished.

    Raises:
      ValueError: a run of this name was begun with other settings.
    """
    path = self.path(run)
    settings = _read_json(path / 'settings.json')
    if settings not in (None, self._all_settings(run)):
      raise ValueError(f'{path} holds a run of other settings: choose another output_dir, or remove it.')
    metrics = _read_json(path / 'eval.json')
    return metrics if metrics and metrics['step'] == self._common['trainer']['train_steps'] else None

  def execute(self, run: Run) -> dict[str, float]:
    """Trains it, or resumes its training, and evaluates it; waits if another process is training it.

    Raises:
      RuntimeError: a command failed; the message names its log.
    """
    path = self.path(run)
    path.mkdir(parents=True, exist_ok=True)
    with open(path / 'lock', 'w', encoding='utf-8') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      return self.result(run) or self._execute(run, path)

  def _execute(self, run: Run, path: pathlib.Path) -> dict[str, float]:
    checkpoints.write_json(str(path / 'settings.json'), self._all_settings(run))
    overrides = self._directory / f'{run.name}.yaml'
    overrides.write_text(yaml.safe_dump(self._overrides(run)), encoding='utf-8')
    arguments = [f'--config_file={self._settings["config_file"]}', f'--config_file={overrides}', f'--model_dir={path}']
    if self._settings['params_override']:
      arguments.append(f'--params_override={self._settings["params_override"]}')
    self._script(run, 'train_and_eval', *arguments)
    if self.result(run) is None:  # It was stopped between the last step and the evaluation.
      self._script(run, 'eval', *arguments)
    return self.result(run)

  def _overrides(self, run: Run) -> dict[str, Any]:
    return _merged(self._common, run.override())

  def _all_settings(self, run: Run) -> dict[str, Any]:
    return {**self._settings, 'overrides': self._overrides(run)}

  def _script(self, run: Run, mode: str, *arguments: str) -> None:
    log = self._directory / 'logs' / f'{run.name}_{mode}.log'
    command = [sys.executable, '-m', 'scripts.train', f'--mode={mode}', *arguments]
    if process.run(command, log, sys.stderr):
      lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-5:]
      raise failure.ExpectedError('\n'.join([f'{run.name} failed; the end of {log}:', *lines]))


def _read_json(path: pathlib.Path) -> Any:
  return json.loads(path.read_text(encoding='utf-8')) if path.exists() else None


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
  both = dict(one)
  for key, value in other.items():
    nested = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
    both[key] = _merged(both[key], value) if nested else value
  return both


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('config_file', 'bccd_mobilenetv2_nasfpnlite_3x64_384x512', 'Configuration; as of train.py.')
  flags.DEFINE_string('params_override', None, 'Overrides for every run, as in train.py.')
  flags.DEFINE_list('train', None, 'Prefixes of the training records.')
  flags.DEFINE_string('validation', None, 'Prefix of the evaluation records.')
  flags.DEFINE_string('output_dir', None, 'Directory for the runs, records.json, table.md and curve.svg.')
  flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds; everything is trained once per seed.')
  flags.DEFINE_integer(
    'steps', None, 'Training steps per run; the schedule is scaled; unset: as configured.', lower_bound=1
  )
  flags.DEFINE_integer('pyramids', None, 'Number of stacked pyramids; unset: as configured.', lower_bound=2)
  flags.DEFINE_list('separate', [], 'Numbers of pyramids to train without exits as well; unset: all up to --pyramids.')
  flags.DEFINE_multi_string(
    'loss_weights', [], 'Also train with these loss weights of the exits, first to last, separated by commas.'
  )
  flags.DEFINE_integer('threads', 1, 'Threads of LiteRT.', lower_bound=1)
  flags.DEFINE_integer('latency_runs', 50, 'Number of timed runs per exit.', lower_bound=1)
  flags.mark_flags_as_required(['train', 'validation', 'output_dir'])


def curve_of_flags() -> tuple[Curve, list[Run], dict[str, Any]]:
  """Reads the flags: the directory, its runs, and the facts that the report states once."""
  weights = [tuple(float(weight) for weight in given.split(',')) for given in FLAGS.loss_weights]
  params = params_lib.load_params(config_files=FLAGS.config_file, params_override=FLAGS.params_override)
  pyramids = FLAGS.pyramids or params.task.model.decoder.get().num_repeats
  runs = plan(pyramids, [int(seed) for seed in FLAGS.seeds], weights, [int(number) for number in FLAGS.separate])
  data = {'train_data': FLAGS.train, 'validation_data': FLAGS.validation}
  for path in data.values():
    manifest.match_shards(path)  # Says at once which are not there.
  steps = FLAGS.steps or params.trainer.train_steps
  common = {'task': {section: {'input_path': path} for section, path in data.items()}}
  settings = {'config_file': FLAGS.config_file, 'params_override': FLAGS.params_override}
  facts = {**settings, 'train_steps': steps}
  return Curve(FLAGS.output_dir, settings, {**common, **schedule.shortened(params.trainer, steps)}), runs, facts


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ends the training that runs, too.
  with failure.told('anytime_curve', 'interrupted; the same command resumes'):
    curve, runs, facts = curve_of_flags()
    results = {run: metrics for run in runs if (metrics := curve.result(run)) is not None}
    for number, run in enumerate(runs, start=1):
      is_new = run not in results
      if is_new:
        print(f'[{number}/{len(runs)}] {run.name} ...', flush=True)
        results[run] = curve.execute(run)
      print(f'[{number}/{len(runs)}] {run.name}: AP {results[run]["AP"]:.4f}', flush=True)
      if is_new:
        anytime_report.write(FLAGS.output_dir, anytime_report.records(results), facts)
    options = {'threads': FLAGS.threads, 'runs': FLAGS.latency_runs}
    first = [run for run in runs if run.seed == runs[0].seed]
    with_exits = next(str(curve.path(run)) for run in first if run.loss_weights == ())
    separate = {run.num_pyramids: str(curve.path(run)) for run in first if run.loss_weights is None}
    costs = anytime_costs.measure(FLAGS.output_dir, with_exits, separate, FLAGS.validation, **options)
    anytime_report.write(FLAGS.output_dir, anytime_report.records(results, costs), {**facts, **options})
  print((pathlib.Path(FLAGS.output_dir) / anytime_report.TABLE).read_text(encoding='utf-8'))


if __name__ == '__main__':
  define_flags()
  app.run(main)

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

"""Measures the training time to a given AP, with Model Garden's task as the peer.

python -m benchmarks.time_to_accuracy --train='records/bccd_train-*,records/bccd_val-*' \
  --validation='records/bccd_test-*' --output=runs/time_to_accuracy.jsonl

Both sides train the detector of one configuration from the same backbone and head, on the same records with the same
batch and schedule. Ours is trained as scripts/train.py does: residual pyramids, its own input, all augmentations and
mixed precision where the machine computes it. Model Garden's task has its own trainer, input, optimizer and NAS-FPN
decoder with the width corrected; it gets those augmentations that its parser has, and --peer_dtype, --peer_steps and
--peer_override are there to have it at its best.

The sides take turns of --interval steps. After each turn the averaged weights are evaluated, in float32 by one and the
same evaluation, which is not timed. The time to the AP is that of the first evaluation that is not below it, without
building and the first step, which traces the graph. A side that never gets there has needed more than all of its time,
so the ratio is a bound then. The output has a JSON line for each seed; the same command skips those it has.
"""

import collections
import dataclasses
import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf
import tf_keras
from absl import app, flags
from official.core import base_trainer
from official.vision.tasks import retinanet

from benchmarks import model_garden, side_by_side
from nasfpn_tf import failure, whole_file
from nasfpn_tf.data.records import manifest
from nasfpn_tf.interop import model_garden as interop
from nasfpn_tf.modeling import precision
from nasfpn_tf.training import loop, optimizer, recipe, schedule, strategy
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training.task import DetectionTask

FLAGS = flags.FLAGS
OURS, THEIRS = 'ours', 'theirs'


@dataclasses.dataclass(frozen=True)
class Point:
  """An evaluation.

  Attributes:
    step: steps trained before it.
    wall_s: seconds that these took, without the first.
    cpu_s: the same of the processor.
    ap: 0 to 1.
  """

  step: int
  wall_s: float
  cpu_s: float
  ap: float


class Side(Protocol):
  """One of the trainings."""

  steps: int

  def train(self, steps: int) -> None:
    """Trains further steps."""

  def evaluate(self) -> float:
    """Returns the AP of the weights as they are."""


def race(sides: Mapping[str, Side], interval: int) -> dict[str, list[Point]]:
  """Trains all sides to their ends, in turns of `interval` steps, each followed by an evaluation."""
  points: dict[str, list[Point]] = {}
  for name, side in sides.items():
    side.train(1)
    points[name] = [Point(1, 0.0, 0.0, side.evaluate())]
  turn = 0
  while any(points[name][-1].step < side.steps for name, side in sides.items()):
    for name in list(sides)[:: -1 if turn % 2 else 1]:
      side, last = sides[name], points[name][-1]
      end = min((turn + 1) * interval, side.steps)
      if end <= last.step:
        continue
      wall, cpu = time.perf_counter(), time.process_time()
      side.train(end - last.step)
      wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
      points[name].append(Point(end, last.wall_s + wall, last.cpu_s + cpu, side.evaluate()))
      print(f'{name}: {json.dumps(dataclasses.asdict(points[name][-1]))}', flush=True)
    turn += 1
  return points


def reached(points: Sequence[Point], ap: float) -> Point | None:
  """Returns the first evaluation that is not below `ap`, None if there is none."""
  return next((point for point in points if point.ap >= ap), None)


def table(lines: Sequence[Mapping[str, Any]], ap: float) -> str:
  """Writes a row for each seed and side; the ratio, ours / theirs, is a bound where one side does not reach `ap`."""
  rows = [
    f'| seed | side | steps to AP {100 * ap:.1f} | s | cpu s | best AP | steps of all | s of all | ratio | by cpu |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ]
  for line in lines:
    sides = {name: [Point(**point) for point in points] for name, points in line['points'].items()}
    found = {name: reached(points, ap) for name, points in sides.items()}
    ends = {name: found[name] or points[-1] for name, points in sides.items()}
    signs = {(True, True): '', (True, False): '< ', (False, True): '> '}
    sign = signs.get((bool(found[OURS]), bool(found[THEIRS])))
    for name, points in sides.items():
      at, last, best = found[name], points[-1], max(points, key=lambda point: point.ap)
      to_ap = f'{at.step} | {at.wall_s:.1f} | {at.cpu_s:.1f}' if at else 'not reached | | '
      ratios = ' | '
      if name == THEIRS and sign is not None:
        ratios = ' | '.join(
          f'{sign}{getattr(ends[OURS], clock) / getattr(ends[THEIRS], clock):.2f}' for clock in ('wall_s', 'cpu_s')
        )
      rows.append(
        f'| {line["seed"]} | {name}, {line["dtypes"][name]} | {to_ap} | {100 * best.ap:.1f} (step {best.step})'
        f' | {last.step} | {last.wall_s:.1f} | {ratios} |'
      )
  return '\n'.join(rows)


class _Training:
  """A side: a trainer, and a detector of ours in float32 that is evaluated with its weights."""

  def __init__(self, trainer: base_trainer.Trainer, params: Any, completed: recipe.Recipe, steps: int):
    self.steps = steps
    self.trainer = trainer
    task = DetectionTask(params.task, labels=completed.labels, ground_truth=completed.ground_truth)
    with precision.computing_in(precision.FLOAT32):
      model = task.build_model()
    self._judge = loop.DetectionTrainer(params, task, model, tf_keras.optimizers.SGD(), train=False, evaluate=True)

  def train(self, steps: int) -> None:
    self.trainer.train(tf.constant(steps, tf.int32))

  def evaluate(self) -> float:
    average = self.trainer.optimizer if hasattr(self.trainer.optimizer, 'swap_weights') else None
    if average:
      average.swap_weights()
    self._take_weights(self._judge.model, self.trainer.model)
    if average:
      average.swap_weights()
    return float(self._judge.evaluate(tf.constant(-1))['AP'])

  def _take_weights(self, judge: tf_keras.Model, trained: tf_keras.Model) -> None:
    judge.set_weights(trained.get_weights())


class _Theirs(_Training):
  """The same detector with pyramids that are not residual has the weights of Model Garden's."""

  def _take_weights(self, judge: tf_keras.Model, trained: tf_keras.Model) -> None:
    for part in ('backbone', 'head'):
      getattr(judge, part).set_weights(getattr(trained, part).get_weights())
    interop.load_from_model_garden(judge.decoder, trained.decoder)


def _completed(settings: Mapping[str, Any], seed: int, steps: int, override: str | None = None) -> recipe.Recipe:
  overrides = [params_lib.parse_override(text) for text in (settings['params_override'], override) if text]
  params = params_lib.load_params(None, settings['config_file'], dict(collections.ChainMap(*reversed(overrides))))
  # Little is prepared while the other side has its turn or during evaluations.
  train = {'input_path': settings['train'], 'seed': seed, 'prefetch_buffer_size': 2}
  params.override({'task': {'train_data': train, 'validation_data': {'input_path': settings['validation']}}})
  params.override(schedule.shortened(params.trainer, steps))
  return recipe.complete(params, 'train_and_eval')


def build_ours(settings: Mapping[str, Any], seed: int) -> _Training:
  """Builds our side of a seed as scripts/train.py does."""
  completed = _completed(settings, seed, settings['steps'])
  params = completed.params
  tf_keras.utils.set_random_seed(seed)
  task = DetectionTask(params.task)
  with precision.computing_in(params.runtime.mixed_precision_dtype or precision.FLOAT32):
    model = task.build_model()
  task.initialize(model)
  trainer = loop.DetectionTrainer(
    params, task, model, optimizer.build_optimizer(params, model), train=True, evaluate=False
  )
  return _Training(trainer, params, completed, settings['steps'])


def build_theirs(settings: Mapping[str, Any], seed: int, ours: tf_keras.Model) -> _Training:
  """Builds Model Garden's side of a seed, with backbone and head of `ours`.

  Raises:
    ValueError: the configuration has a learning rate of the backbone, which Model Garden's optimizer has not.
  """
  completed = _completed(settings, seed, settings['peer_steps'], settings['peer_override'])
  params = completed.params
  if params.task.backbone_lr_multiplier != 1.0:
    raise ValueError('Model Garden has no task.backbone_lr_multiplier: set it to 1.0 in --peer_override.')
  params.task.model.decoder.feature_pyramid.residual = False
  task_config = model_garden.task_config(params.task)
  data = params.task.train_data.as_dict()
  keys = ('global_batch_size', 'shuffle_buffer_size', 'is_training', 'seed', 'cache', 'prefetch_buffer_size')
  parser_keys = task_config.train_data.parser.as_dict().keys() & data['parser'].keys()
  task_config.train_data.override(
    {key: data[key] for key in keys}
    | {'input_path': manifest.match_shards(settings['train']), 'dtype': settings['peer_dtype']}
    | {'parser': {key: data['parser'][key] for key in parser_keys}}
  )
  tf_keras.utils.set_random_seed(seed)
  with precision.computing_in(settings['peer_dtype']):
    model = model_garden.build_model(task_config, 'corrected')
  for part in ('backbone', 'head'):
    getattr(model, part).set_weights(getattr(ours, part).get_weights())
  task = retinanet.RetinaNetTask(task_config)
  experiment = params.replace(task=task_config)
  peer_optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
  trainer = base_trainer.Trainer(experiment, task, model, peer_optimizer, train=True, evaluate=False)
  return _Theirs(trainer, params, completed, settings['peer_steps'])


def measure(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
  """Trains both sides with a seed; returns its line."""
  with strategy.build_strategy(params_lib.load_params(None, settings['config_file']).runtime).scope():
    ours = build_ours(settings, seed)
    theirs = build_theirs(settings, seed, ours.trainer.model)
    points = race({OURS: ours, THEIRS: theirs}, settings['interval'])
  dtype = ours.trainer.config.runtime.mixed_precision_dtype or precision.FLOAT32
  return {
    'seed': seed,
    'settings': dict(settings),
    'machine': side_by_side.machine(),
    'dtypes': {OURS: dtype, THEIRS: settings['peer_dtype']},
    'points': {name: [dataclasses.asdict(point) for point in of_side] for name, of_side in points.items()},
  }


def read(path: str, settings: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
  """Reads the lines of earlier calls, by seed.

  Raises:
    ValueError: a line is not of this benchmark, or of other settings.
  """
  file = pathlib.Path(path)
  found = {}
  for number, text in enumerate(file.read_text(encoding='utf-8').splitlines() if file.exists() else (), start=1):
    try:
      line = json.loads(text)
      seed, given = line['seed'], line['settings']
    except (ValueError, LookupError, TypeError) as error:
      raise ValueError(f'{path}, line {number} is not of this benchmark ({error}): remove it.') from error
    if given != settings:
      changed = sorted(key for key in settings if given.get(key) != settings[key])
      raise ValueError(f'{path}, line {number} has other settings ({", ".join(changed)}); give another --output.')
    found[seed] = line
  return found


def define_flags() -> None:
  """Defines the flags, not on import because other programs have flags of the same names."""
  flags.DEFINE_string('train', None, 'Training records.', required=True)
  flags.DEFINE_string('validation', None, 'Records to evaluate on.', required=True)
  flags.DEFINE_string('output', None, 'The JSON lines.', required=True)
  flags.DEFINE_multi_string(
    'config_file', ['bccd_mobilenetv2_nasfpnlite_3x64_384x512'], 'Configuration of both, as in train.py.'
  )
  flags.DEFINE_string('params_override', None, 'Overrides for both, as in train.py.')
  flags.DEFINE_string('peer_override', None, "Further overrides for Model Garden's side, such as its learning rate.")
  flags.DEFINE_float('ap', 0.58, 'The AP, 0 to 1.', lower_bound=0, upper_bound=1)
  flags.DEFINE_integer('steps', 800, 'Training steps; the schedule is scaled.', lower_bound=2)
  flags.DEFINE_integer('peer_steps', None, "Those of Model Garden's side; unset: as many.", lower_bound=2)
  flags.DEFINE_enum('peer_dtype', 'float32', ['float32', 'bfloat16'], "Precision of Model Garden's network and input.")
  flags.DEFINE_integer('interval', 50, 'Steps between two evaluations.', lower_bound=2)
  flags.DEFINE_list('seeds', ['0'], 'Both are trained once with each.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  with failure.told('time_to_accuracy', f'interrupted; the same command resumes {FLAGS.output}.'):
    names = ('train', 'validation', 'config_file', 'params_override', 'peer_override', 'steps', 'peer_dtype')
    settings = {name: FLAGS[name].value for name in (*names, 'interval')}
    settings['peer_steps'] = FLAGS.peer_steps or FLAGS.steps
    lines = read(FLAGS.output, settings)
    for seed in map(int, FLAGS.seeds):
      if seed not in lines:
        lines[seed] = measure(settings, seed)
        whole_file.write_text(FLAGS.output, ''.join(json.dumps(line) + '\n' for line in lines.values()))
  print(side_by_side.machine())
  print(table(list(lines.values()), FLAGS.ap))


if __name__ == '__main__':
  define_flags()
  app.run(main)

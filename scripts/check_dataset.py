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

"""Checks TFRecords before training: statistics, broken records, images that splits share (docs/data.md).

check_dataset.py --input_path='records/train-*' --input_path='records/val-*' --config_file=bccd_mobilenetv2_...
"""

import sys

from absl import app, flags

from nasfpn_tf import failure, whole_file
from nasfpn_tf.data.sources.problems import DataError

FLAGS = flags.FLAGS
flags.DEFINE_multi_string('input_path', None, "Pattern of the records, such as 'P-*'; repeat it for several splits.")
flags.DEFINE_multi_string(
  'annotations', [], 'COCO JSON to compare with, one for each --input_path; default: the one beside the records.'
)
flags.DEFINE_string('experiment', None, 'Experiment that --config_file is based on; default: the one it names.')
flags.DEFINE_multi_string(
  'config_file', [], 'Configuration whose input size and anchors are checked against the boxes.'
)
flags.DEFINE_string('params_override', None, 'Changes to the configuration.')
flags.DEFINE_string(
  'augmented', None, 'File for a sheet of augmented training images of the first --input_path: .jpg or .png.'
)
flags.DEFINE_string('output', None, 'File to write the report to as well: .json or .html.')
flags.DEFINE_bool('strict', True, 'Exit with an error if there are problems; --nostrict only reports them.')
flags.DEFINE_integer('num_workers', 0, 'Threads that decode images; 0: one per core.', lower_bound=0)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}: flags begin with --.')
  with failure.told('check_dataset', lines=True):
    num_serious = _check()
  if num_serious and FLAGS.strict:
    sys.exit(f'check_dataset: {num_serious} problems, see above.')


def _check() -> int:
  import tensorflow as tf  # After the flags are read: TensorFlow takes seconds to load.

  from nasfpn_tf.data.records import check, statistics
  from nasfpn_tf.report import dataset

  tf.config.set_visible_devices([], 'GPU')  # Images are decoded on the CPU; a training may have the GPU.
  annotations = FLAGS.annotations or [None] * len(FLAGS.input_path)
  if len(annotations) != len(FLAGS.input_path):
    raise DataError(f'{len(annotations)} --annotations for {len(FLAGS.input_path)} --input_path; give one for each.')
  if FLAGS.output and not FLAGS.output.endswith(('.json', '.html')):
    raise DataError(f'--output={FLAGS.output}: the name must end in .json or .html.')
  if FLAGS.augmented and not FLAGS.augmented.endswith(('.jpg', '.jpeg', '.png')):
    raise DataError(f'--augmented={FLAGS.augmented}: the name must end in .jpg or .png.')
  for place in filter(None, (FLAGS.output, FLAGS.augmented)):
    whole_file.check_place(place)
  grid, max_boxes = _model() if FLAGS.config_file or FLAGS.params_override else (None, 100)
  splits = [
    check.check_records(path, json_file, FLAGS.num_workers or None)
    for path, json_file in zip(FLAGS.input_path, annotations, strict=True)
  ]
  summaries = [statistics.summarize(split, grid, max_boxes) for split in splits]
  found = [*(split.problems for split in splits), check.find_leaks(splits)]
  lines = [line for problems in found for line in problems.summary().splitlines()]
  print(dataset.text(summaries, lines))
  if FLAGS.output:
    listed = [str(problem) for problems in found for problem in problems]
    if FLAGS.output.endswith('.json'):
      whole_file.write_json(FLAGS.output, {'splits': summaries, 'problems': listed})
    else:
      whole_file.write_text(FLAGS.output, dataset.html(summaries, listed))
    print(f'Written: {FLAGS.output}')
  if FLAGS.augmented:
    _draw_augmented()
  return sum(problems.num_serious for problems in found)


def _model():
  """Reads the anchors of the configured model, and the number of boxes per image that its input takes."""
  from nasfpn_tf.data.input.anchors import AnchorGrid
  from nasfpn_tf.training import params

  task = params.load_params(FLAGS.experiment, FLAGS.config_file, FLAGS.params_override).task
  model, parser = task.model, task.train_data.parser
  grid = AnchorGrid(
    tuple(model.input_size[:2]),
    model.min_level,
    model.max_level,
    model.anchor.num_scales,
    tuple(model.anchor.aspect_ratios),
    model.anchor.anchor_size,
    parser.match_threshold,
  )
  return grid, parser.max_num_instances


def _draw_augmented() -> None:
  from nasfpn_tf.training import contact_sheet, params

  task = params.load_params(FLAGS.experiment, FLAGS.config_file, FLAGS.params_override).task
  data = task.train_data.replace(input_path=FLAGS.input_path[0])
  contact_sheet.write_contact_sheet(FLAGS.augmented, data, task.model)
  print(f'Written: {FLAGS.augmented}')


def run():
  flags.mark_flag_as_required('input_path')
  app.run(main)


if __name__ == '__main__':
  run()

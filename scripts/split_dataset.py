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
"""Finds the format of a data set, makes splits where it has none, and writes each split as COCO JSON (docs/fit.md).

split_dataset.py --data=my_images --output_dir=my_splits/annotations
"""

import os

from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.data.sources import formats

FLAGS = flags.FLAGS
flags.DEFINE_string('data', None, 'Directory of the images and their annotations: COCO, Pascal VOC or YOLO.')
flags.DEFINE_enum('format', None, list(formats.FORMATS), 'Format of the annotations; unset: detected.')
flags.DEFINE_string(
  'output_dir',
  None,
  'Directory for train.json, val.json and test.json; splits.json is written to its parent directory.',
)
flags.DEFINE_integer('seed', 0, 'Seed for the choice of validation images.')
flags.DEFINE_integer('min_images', 2, 'Fewer different images for training and validation are an error.', lower_bound=2)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  from nasfpn_tf.fit.dataset import format as format_lib
  from nasfpn_tf.fit.dataset import prepare

  with failure.told('split_dataset', lines=True):
    parts = format_lib.find(FLAGS.data, FLAGS.format)
    earlier = prepare.load_earlier(os.path.join(os.path.dirname(os.path.abspath(FLAGS.output_dir)), prepare.SPLITS))
    prepared = prepare.prepare(FLAGS.data, parts, FLAGS.seed, earlier, min_images=FLAGS.min_images)
    prepare.write(prepared, FLAGS.output_dir, FLAGS.data)
  print(f'format: {parts[0].format}\n{prepare.describe(prepared)}')


def run():
  """Runs the command."""
  flags.mark_flags_as_required(['data', 'output_dir'])
  app.run(main)


if __name__ == '__main__':
  run()

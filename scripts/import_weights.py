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

r"""Imports a detector that others trained on COCO as a model directory: docs/weights.md.

import_weights.py --url=r50_nasfpn_7x256_640

import_weights.py --from=tpu --checkpoint=r50-nasfpn/model.ckpt --output_dir=runs/r50_nasfpn_coco

The directory evaluates, predicts, exports, and is a task.init_checkpoint for other classes, as that of a training.
"""

from absl import app, flags

FLAGS = flags.FLAGS
# The attribute of a flag is its name, and `from` is a keyword of Python.
flags.DEFINE_enum(
  'from',
  None,
  ['tpu', 'model_garden', 'mmdet', 'object_detection_api', 'automl'],
  'Framework of the checkpoint: tpu is tensorflow/tpu, models/official/detection; model_garden is official/vision;'
  ' mmdet is'
  ' mmdetection; object_detection_api is tensorflow/models, research/object_detection; automl is google/automl,'
  ' efficientdet.',
)
flags.DEFINE_string('checkpoint', None, 'The published checkpoint: its prefix or its directory.')
flags.DEFINE_string('url', None, 'A name in the table of docs/weights.md, or the address of a .tar, .tar.gz or .pth.')
flags.DEFINE_string('download_dir', 'downloads', 'Directory to download and unpack --url in.')
flags.DEFINE_string(
  'output_dir', None, 'The new model directory; unset: with a name as --url, the cache, where weights="coco" finds it.'
)
flags.DEFINE_integer(
  'image_size', None, 'Side of the square images it was trained on; unset: that of the name, or 640.', lower_bound=128
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unknown arguments: {" ".join(argv[1:])}')
  from nasfpn_tf import failure

  with failure.told('import_weights', 'stopped; the same command resumes a download.'):
    from nasfpn_tf.public_weights import importing  # After the flags are read: TensorFlow takes seconds to load.

    output_dir, report = importing.import_published(
      FLAGS['from'].value,
      FLAGS.output_dir,
      checkpoint=FLAGS.checkpoint,
      url=FLAGS.url,
      download_dir=FLAGS.download_dir,
      image_size=FLAGS.image_size,
    )
  print(report)
  print(f'model directory: {output_dir}')


def run():
  app.run(main)


if __name__ == '__main__':
  run()

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

"""Converts COCO, VOC or YOLO annotations and their images to sharded TFRecords with a manifest: docs/data.md.

create_tfrecord.py --annotations=instances_train.json --image_dir=images --output_prefix=records/train
"""

from absl import app, flags

from nasfpn_tf import failure
from nasfpn_tf.data.sources import coco, formats

FLAGS = flags.FLAGS
flags.DEFINE_enum('format', 'coco', list(formats.FORMATS), 'Format of the annotations.')
flags.DEFINE_string(
  'annotations',
  None,
  'coco: the JSON file. voc: the directory of .xml files, or a list such as ImageSets/Main/train.txt. yolo: the '
  'directory of .txt files.',
)
flags.DEFINE_string('image_dir', None, 'Directory that the file names of the images are relative to.')
flags.DEFINE_string(
  'output_prefix', None, 'Prefix P of the output files: P-00000-of-00008.tfrecord ..., P.manifest.json.'
)
flags.DEFINE_string(
  'categories',
  None,
  'Class names: a text file with one a line, a data.yaml, or the .manifest.json of another split, which gives this one '
  'the same labels. COCO needs it only where the splits list different categories.',
)
flags.DEFINE_integer('num_shards', 8, 'Number of TFRecord files.', lower_bound=1, upper_bound=99999)
flags.DEFINE_enum(
  'labels',
  'contiguous',
  list(coco.LABEL_SCHEMES),
  'Labels: 1..K in the order of the category ids, or the ids themselves.',
)
flags.DEFINE_integer(
  'holdout_images', 0, 'Number of images to hold out in P_holdout-*, e.g. for a search.', lower_bound=0
)
flags.DEFINE_integer('seed', 0, 'Seed for the order of the images and the choice of held-out images.')
flags.DEFINE_bool('allow_empty', False, 'Accept annotations without any object: every image is background.')
flags.DEFINE_bool('drop_unused_categories', False, 'Leave out categories without annotations.')
flags.DEFINE_bool('strict', False, 'Treat every problem in the data as an error and write nothing.')
flags.DEFINE_integer('num_workers', 0, 'Threads that read and check images; 0: one per core.', lower_bound=0)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}: flags begin with --.')
  import tensorflow as tf  # After the flags are read: TensorFlow takes seconds to load.

  from nasfpn_tf.data.records import tfrecord

  tf.config.set_visible_devices([], 'GPU')  # Images are decoded on the CPU; a training may have the GPU.
  with failure.told('create_tfrecord', lines=True):
    dataset = formats.read_dataset(
      FLAGS.format,
      FLAGS.annotations,
      FLAGS.image_dir,
      FLAGS.categories,
      allow_empty=FLAGS.allow_empty,
      drop_unused_categories=FLAGS.drop_unused_categories,
    )
    manifest = tfrecord.write_tfrecords(
      dataset,
      FLAGS.image_dir,
      FLAGS.output_prefix,
      FLAGS.num_shards,
      FLAGS.labels,
      holdout_images=FLAGS.holdout_images,
      seed=FLAGS.seed,
      strict=FLAGS.strict,
      num_workers=FLAGS.num_workers or None,
    )
  print(tfrecord.describe(manifest))
  unused = [category['name'] for category in dataset.unused_categories]
  if unused and dataset.num_annotations and not FLAGS.categories:
    more = f', ... ({len(unused)} in all)' if len(unused) > 10 else ''
    print(f'categories without annotations: {", ".join(unused[:10])}{more}; --drop_unused_categories leaves them out')


def run():
  flags.mark_flags_as_required(['annotations', 'image_dir', 'output_prefix'])
  app.run(main)


if __name__ == '__main__':
  run()

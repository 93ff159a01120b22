"""What several processes must not share, drawn from every generator there is."""

import json
import multiprocessing
import random
import secrets
import sys
import tempfile
import uuid

drawn = {
    "random": random.random(),
    "secrets": secrets.token_hex(8),
    "uuid1": str(uuid.uuid1()),
    "uuid4": str(uuid.uuid4()),
    "authkey": multiprocessing.current_process().authkey.hex(),
    "tempfile": tempfile.mktemp(),
}
if "numpy" in sys.argv[1]:
    import numpy

    drawn["numpy"] = numpy.random.random()
    drawn["numpy default_rng"] = numpy.random.default_rng().random()
if "tensorflow" in sys.argv[1]:
    import tensorflow as tf

    generator = tf.random.Generator.from_non_deterministic_state()
    drawn["tensorflow"] = float(tf.random.uniform([]))
    drawn["tensorflow in a graph"] = float(tf.function(lambda: tf.random.normal([]))())
    drawn["tensorflow Generator"] = float(generator.normal([]))
    drawn["tensorflow global Generator"] = float(tf.random.get_global_generator().normal([]))
    drawn["tensorflow shuffle"] = (
        tf.data.Dataset.range(10**6).shuffle(10**4).take(5).as_numpy_iterator().next().item()
    )
print(json.dumps(drawn))

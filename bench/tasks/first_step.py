"""A training of one task that has taken its first step; nothing of tenfold in it."""

import tensorflow as tf

weights = tf.Variable(tf.zeros([1000, 1]))
with tf.GradientTape() as tape:
    guess = tf.matmul(tf.random.normal([256, 1000]), tf.convert_to_tensor(weights))
    loss = tf.reduce_mean((guess - 1.0) ** 2)
weights.assign_sub(0.1 * tape.gradient(loss, weights))
print("first step", flush=True)

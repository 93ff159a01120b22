def test_jax(jax_image): pass
def test_torch(torch_image): pass

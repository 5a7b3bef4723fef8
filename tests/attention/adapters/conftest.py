"""One test a model for the tests of an adapter's suite."""


def pytest_generate_tests(metafunc):
    models = getattr(metafunc.cls, "models", None)
    if models is not None and "name" in metafunc.fixturenames:
        metafunc.parametrize("name", models)

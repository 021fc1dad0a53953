"""What the Open Reward Standard asks of a server, as a pytest suite that the author of an environment runs against it.

pip install trainwright-ors pytest
pytest --pyargs trainwright_ors.conformance --ors-url http://localhost:8000 --ors-environment mathenv
"""

"""A client that has something to hide, for servers whose answers a test decides."""

from pydantic import SecretStr

from trainwright_ors.client import Client, Deadlines

KEY, SECRET = "sk-0123456789abcdef", "hunter2-hunter2"
QUICK = Deadlines(connect=0.3, idle=0.3, total=1, setup=1, request=1, close=1)


def client(raw, **settings):
    return Client(
        raw.url, **{"deadlines": QUICK, "api_key": SecretStr(KEY), "secrets": {"K": SecretStr(SECRET)}, **settings}
    )

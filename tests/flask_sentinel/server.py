"""Runs flask-sentinel as its users do: `server.py PORT MONGO_URI REDIS_URL`."""

import sys

from flask import Flask
from flask_sentinel import ResourceOwnerPasswordCredentials

port, mongo, redis = sys.argv[1:]
app = Flask(__name__)
app.config.update(
    SENTINEL_MONGO_URI=mongo,
    SENTINEL_REDIS_URL=redis,
    SENTINEL_MANAGEMENT_USERNAME="operator",
    SENTINEL_MANAGEMENT_PASSWORD="of old",
    OAUTH2_PROVIDER_TOKEN_EXPIRES_IN=3600,
)
ResourceOwnerPasswordCredentials(app)
app.run(port=int(port))

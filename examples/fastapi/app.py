"""Two services with FastAPI, httpx, and the SDK: uvicorn app:shop, uvicorn app:prices."""

import os

import detour.sdk

detour.sdk.install()

import httpx
from fastapi import FastAPI

shop = FastAPI()
prices = FastAPI()


@shop.get("/")
async def offer() -> dict[str, object]:
    """Return an offer with the price from the other service; this code does not know about overrides."""
    async with httpx.AsyncClient() as client:
        price = (await client.get("http://prices/")).json()
    return {"shop": "shop-1", **price}


@prices.get("/")
async def price() -> dict[str, object]:
    """Return a price, in the currency of a flag."""
    return {"prices": os.environ["INSTANCE"], "currency": detour.sdk.flag("currency", default="EUR")}

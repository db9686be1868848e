"""Two services with FastAPI, httpx, and the SDK: uvicorn app:shop, uvicorn app:prices."""

import os

import detour.sdk

detour.sdk.install()

import httpx
from fastapi import FastAPI, HTTPException

shop = FastAPI()
prices = FastAPI()


@shop.get("/")
async def offer() -> dict[str, object]:
    """Return an offer with the price from the other service; this code does not know about overrides."""
    async with httpx.AsyncClient() as client:
        try:
            price = await client.get("http://prices/")
        except httpx.HTTPError as error:
            raise HTTPException(502, f"prices cannot be reached: {error}") from error
    if price.is_error:  # such as Detour's 503 for a deployment that does not exist
        raise HTTPException(price.status_code, price.text)
    return {"shop": "shop-1", **price.json()}


@prices.get("/")
async def price() -> dict[str, object]:
    """Return a price, in the currency of a flag."""
    return {"prices": os.environ["INSTANCE"], "currency": detour.sdk.flag("currency", default="EUR")}

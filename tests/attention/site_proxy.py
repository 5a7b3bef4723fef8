"""A site through another one."""

from forecheck.attention.sites import Site


class SiteProxy:
    """A site with something overridden."""

    def __init__(self, site):
        self.site = site
        asked = {*Site.__annotations__, "edit", "observe"} - {*vars(type(self))}
        vars(self).update({name: getattr(site, name) for name in asked})  # which executed annotations look for

    def __getattr__(self, name):
        return getattr(self.site, name)

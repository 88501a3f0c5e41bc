package example;

import io.quarkus.oidc.TokenIntrospection;
import io.quarkus.security.identity.SecurityIdentity;
import jakarta.annotation.security.RolesAllowed;
import jakarta.inject.Inject;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;

@Path("/")
public class Api {
    @Inject
    SecurityIdentity identity;

    @GET
    @Path("me")
    @RolesAllowed("read")
    public String me() {
        return identity.getPrincipal().getName();
    }

    @POST
    @Path("notes")
    @RolesAllowed("write")
    public String addNote() {
        TokenIntrospection token = identity.getAttribute("introspection");
        return token.getSubject();
    }

    @GET
    @Path("public")
    public String open() {
        return "public";
    }
}
